package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/rdd"
)

const (
	defaultDeadline = 15 * time.Second
	maxSchemas      = 1000
	maxReferences   = 1000 // of a schema, with those of the schemas that it refers to
)

// Registry is a schema registry. Decoders and encoders of one share the schemas that it
// has given, and may be used by many tasks at a time.
type Registry struct {
	url      string
	client   *sr.Client
	deadline time.Duration
	lookUp   bool
	log      *slog.Logger
	schemas  cache[int, source]
	ids      cache[registered, int]
}

// source is a schema as the registry has it.
type source struct {
	text       string
	kind       sr.SchemaType
	references []string // the texts of the schemas that it refers to, each behind those that it refers to itself
}

// registered finds the id of a schema that is written with.
type registered struct {
	subject, text string
	kind          sr.SchemaType
}

// writes reports what is missing to write under a subject, nil if nothing is.
func (r *Registry) writes(subject string) error {
	switch {
	case r == nil:
		return errNoRegistry
	case subject == "":
		return errNoSubject
	}
	return nil
}

// New returns the registry at a URL, http://host:port or https://. Nothing is asked before
// a record needs it.
func New(address string, opts ...Option) (*Registry, error) {
	return open(address, nil, opts)
}

// open is New with another way to send requests, for tests.
func open(address string, through http.RoundTripper, opts []Option) (*Registry, error) {
	u, err := url.Parse(address)
	if err != nil { // its text holds the URL, which may hold a password
		return nil, errors.New("registry.New: the URL of the schema registry isn't one: write http://host:port or https://host:port")
	}
	if u.User != nil {
		return nil, fmt.Errorf("registry.New: the URL of the schema registry at %s holds a user: give it by registry.BasicAuth", u.Host)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("registry.New: %q isn't the URL of a schema registry: write http://host:port or https://host:port", address)
	}
	o := options{deadline: defaultDeadline, log: slog.Default()}
	for _, set := range opts {
		if set == nil {
			return nil, errors.New("registry.New: an option is nil")
		}
		if err := set(&o); err != nil {
			return nil, err
		}
	}
	if o.auth > 1 {
		return nil, errors.New("registry.New: there is more than one of registry.BasicAuth and registry.Bearer")
	}
	if through == nil {
		through = transport(o.tls)
	}
	client, err := sr.NewClient(append(o.client, sr.URLs(address), sr.UserAgent("hibana"), sr.HTTPClient(&http.Client{Transport: limited{through}}))...)
	if err != nil {
		return nil, fmt.Errorf("registry.New: %w", err)
	}
	return &Registry{url: address, client: client, deadline: o.deadline, lookUp: o.lookUp, log: o.log}, nil
}

// schema returns the schema of an id. What the registry can't give is a
// [kafka.UnavailableError]; an id that it doesn't know isn't.
func (r *Registry) schema(id int) (source, error) {
	return r.schemas.get(id, func() (s source, err error) {
		var got sr.Schema
		err = r.ask(func(ctx context.Context) (err error) { got, err = r.client.SchemaByID(ctx, id); return err })
		switch {
		case unknown(err):
			return s, rdd.Permanent(fmt.Errorf("the schema registry at %s has no schema with id %d: the record was written with another registry, or the schema was deleted; give the program the registry that the topic's writers use, or register the schema there again", r.url, id))
		case err != nil:
			return s, &kafka.UnavailableError{Err: fmt.Errorf("asking the schema registry at %s for the schema with id %d: %w", r.url, id, err)}
		}
		s = source{text: got.Schema, kind: got.Type}
		if s.kind == sr.TypeAvro { // the only ones that are resolved
			s.references, err = r.references(got.References, nil, map[sr.SchemaReference]bool{})
		}
		if err != nil {
			return s, &kafka.UnavailableError{Err: fmt.Errorf("asking the schema registry at %s for what the schema with id %d refers to: %w", r.url, id, err)}
		}
		return s, nil
	})
}

// typed returns the schema of an id, which must be of a type.
func (r *Registry) typed(id int, kind sr.SchemaType) (source, error) {
	s, err := r.schema(id)
	if err == nil && s.kind != kind {
		err = rdd.Permanent(fmt.Errorf("the schema with id %d at %s is of type %s and not %s", id, r.url, s.kind, kind))
	}
	return s, err
}

// references appends the texts of what schemas refer to. The registry takes no circles.
func (r *Registry) references(refs []sr.SchemaReference, texts []string, seen map[sr.SchemaReference]bool) ([]string, error) {
	for _, ref := range refs {
		ref.Name = "" // one schema may go by several names
		if seen[ref] {
			continue
		}
		if seen[ref] = true; len(seen) > maxReferences {
			return nil, rdd.Permanent(fmt.Errorf("it refers to more than %d schemas", maxReferences))
		}
		var got sr.SubjectSchema
		err := r.ask(func(ctx context.Context) (err error) {
			got, err = r.client.SchemaByVersion(ctx, ref.Subject, ref.Version)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("subject %s, version %d: %w", ref.Subject, ref.Version, err)
		}
		if texts, err = r.references(got.References, texts, seen); err != nil {
			return nil, err
		}
		texts = append(texts, got.Schema.Schema)
	}
	return texts, nil
}

// id returns the id of a schema that is written with, registering it if need be.
func (r *Registry) id(w registered) (int, error) {
	return r.ids.get(w, func() (id int, err error) {
		schema := sr.Schema{Schema: w.text, Type: w.kind}
		err = r.ask(func(ctx context.Context) (err error) {
			if r.lookUp {
				found, err := r.client.LookupSchema(ctx, w.subject, schema)
				id = found.ID
				return err
			}
			id, err = r.client.RegisterSchema(ctx, w.subject, schema, -1, -1)
			return err
		})
		switch {
		case unknown(err) && r.lookUp:
			return 0, rdd.Permanent(fmt.Errorf("the schema registry at %s doesn't have the schema under subject %s: register it there, or leave out registry.LookUpOnly: %w", r.url, w.subject, err))
		case status(err) == http.StatusConflict:
			return 0, rdd.Permanent(fmt.Errorf("the schema registry at %s refuses the schema for subject %s: it isn't compatible with the versions before; change it so that it is, or the subject's compatibility level: %w", r.url, w.subject, err))
		case err != nil:
			return 0, &kafka.UnavailableError{Err: fmt.Errorf("asking the schema registry at %s for the id of the schema of subject %s: %w", r.url, w.subject, err)}
		}
		return id, nil
	})
}
