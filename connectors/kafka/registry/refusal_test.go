package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/rdd/task"
)

// order is a value that was written with the schema v1, whose id is 1.
func order(t testing.TB) *kafka.Record {
	t.Helper()
	b, err := must[*avro.Schema](t)(avro.Parse(v1)).AppendEncode(frame(1), &orderV1{ID: "a", Count: 7})
	return value(must[[]byte](t)(b, err))
}

// judge checks what a registry's answer makes of a record or a value: nothing if says is empty, else
// an error that fails the task for good, is no bad record's and tells no secret.
func judge(t *testing.T, name string, err error, says ...string) {
	t.Helper()
	if len(says) == 0 {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	if _, is := errors.AsType[*kafka.UnavailableError](err); !is || !task.IsPermanent(err) || strings.Contains(err.Error(), "secret") {
		t.Errorf("%s: %v", name, err)
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%s: %v\ndoesn't say %s", name, err, s)
		}
	}
}

// A registry is given a password or a token. One that refuses them is asked once, and the job fails.
func TestCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		header string // that is wanted
		opts   []Option
		says   []string
	}{
		"a password":       {"Basic dTpzZWNyZXQ=", []Option{BasicAuth("u", "secret")}, nil},
		"a wrong password": {"Basic dTpvdGhlcg==", []Option{BasicAuth("u", "secret")}, []string{"it refuses the credentials, see registry.BasicAuth and registry.Bearer (HTTP status 403)"}},
		"a token":          {"Bearer secret", []Option{Bearer("secret")}, nil},
		"a wrong token":    {"Bearer other", []Option{Bearer("secret")}, []string{"(HTTP status 403)"}},
		"nothing":          {"Bearer secret", nil, []string{"(HTTP status 401)"}},
	} {
		fake := srfake.New(srfake.WithAuth(c.header))
		fake.SeedSchema("orders-value", 1, 1, sr.Schema{Schema: v1})
		asked := &counted{}
		r := must[*Registry](t)(open(fake.URL(), asked, c.opts))
		_, err := must[kafka.Decoder[orderV2]](t)(Avro[orderV2](r, v2))(order(t))
		judge(t, name+", reading", err, c.says...)
		_, err = must[kafka.Encoder[orderV2]](t)(AvroEncoder[orderV2](r, "orders-value", v2))(orderV2{})
		judge(t, name+", writing", err, c.says...)
		if n := asked.n.Load(); n < 2 || len(c.says) > 0 && n > 4 { // on a busy machine an answer may come too late, and is asked for again
			t.Errorf("%s: %d requests", name, n)
		}
		fake.Close()
	}
}

// A registry behind TLS is asked with the authorities and the certificate that the program gives.
func TestTLS(t *testing.T) {
	fake := srfake.New()
	defer fake.Close()
	fake.SeedSchema("orders-value", 1, 1, sr.Schema{Schema: v1})
	plain := must[*url.URL](t)(url.Parse(fake.URL()))
	secure := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(plain))
	secure.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	trusted := &tls.Config{RootCAs: x509.NewCertPool(), Certificates: secure.TLS.Certificates}
	trusted.RootCAs.AddCert(secure.Certificate())
	for name, c := range map[string]struct {
		url  string
		opts []Option
		says []string
	}{
		"trusted":     {secure.URL, []Option{TLS(trusted)}, nil},
		"not trusted": {secure.URL, nil, []string{secure.URL, "its certificate isn't one that the program trusts, see registry.TLS", "unknown authority"}},
		"no TLS":      {"https://" + plain.Host, []Option{TLS(trusted)}, []string{"it speaks HTTP without TLS, write http:// in its URL"}},
		"only TLS":    {"http://" + strings.TrimPrefix(secure.URL, "https://"), nil, []string{"an HTTP request to an HTTPS server"}},
	} {
		r := must[*Registry](t)(New(c.url, c.opts...))
		_, err := must[kafka.Decoder[orderV2]](t)(Avro[orderV2](r, v2))(order(t))
		judge(t, name, err, c.says...)
	}
}

// answers has a registry answer some requests with a status and a text.
func answers(fake *srfake.Registry, method, path string, status int, text string) {
	fake.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method || r.URL.Path != path {
			return false
		}
		w.WriteHeader(status)
		fmt.Fprint(w, text)
		return true
	})
}

// A schema that the registry doesn't take fails the job with what to do, and it is asked once.
func TestIncompatibleSchema(t *testing.T) {
	fake := srfake.New()
	defer fake.Close()
	answers(fake, "POST", "/subjects/orders-value/versions", http.StatusConflict, `{"error_code":409,"message":"Schema being registered is incompatible with an earlier schema"}`)
	asked := &counted{}
	r := must[*Registry](t)(open(fake.URL(), asked, nil))
	encode := must[kafka.Encoder[orderV2]](t)(AvroEncoder[orderV2](r, "orders-value", v2))
	for range 3 {
		_, err := encode(orderV2{})
		if _, is := errors.AsType[*kafka.UnavailableError](err); is || !task.IsPermanent(err) {
			t.Errorf("%v", err)
		}
		for _, says := range []string{"the schema registry at " + fake.URL() + " refuses the schema for subject orders-value", "it isn't compatible with the versions before; change it", "incompatible with an earlier schema"} {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%v\ndoesn't say %s", err, says)
			}
		}
	}
	if n := asked.n.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// What isn't a registry's answer fails the job and says so.
func TestOtherServers(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		text   string
		says   []string
	}{
		"no such page": {http.StatusNotFound, "<html>", []string{"what answers there isn't a schema registry, check the URL (HTTP status 404)"}},
		"a page":       {http.StatusOK, "<html>", []string{"what answers there isn't a schema registry, check the URL"}},
		"a list":       {http.StatusOK, "[]", []string{"what answers there isn't a schema registry, check the URL"}},
		"much":         {http.StatusOK, strings.Repeat(" ", maxAnswer+1), []string{"its answer has more than 16777216 bytes"}},
	} {
		fake := srfake.New()
		answers(fake, "GET", "/schemas/ids/1", c.status, c.text)
		_, err := must[kafka.Decoder[orderV2]](t)(Avro[orderV2](must[*Registry](t)(New(fake.URL())), v2))(order(t))
		judge(t, name, err, append(c.says, "asking the schema registry at "+fake.URL()+" for the schema with id 1: ")...)
		fake.Close()
	}
}
