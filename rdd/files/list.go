package files

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// List returns the files that a pattern names: addresses separated by commas. Within one,
// * and ? stand for any characters but a slash, [a-z] for one of several, {a,b} for one
// of the words; a backslash takes the meaning from the character after it. A directory
// stands for its files, and with recursive for those of its directories, too. Files whose
// name begins with _ or a point aren't listed unless the pattern says so; of a directory that
// an [Output] wrote the files are those that its manifest lists, and one that isn't whole
// is an error that says [ErrUnfinished].
//
// They come in the order of the pattern, then of their names. Where nothing is found the
// error says [ErrMissing].
func List(ctx context.Context, pattern string, recursive bool) (_ []File, err error) {
	l := lister{ctx: ctx, recursive: recursive, buckets: make(map[string]*Bucket)}
	defer func() { err = errors.Join(err, l.close()) }()
	patterns := split(pattern, ',')
	if slices.Contains(patterns, "") {
		return nil, fmt.Errorf("%w: one of %q is empty", ErrAddress, pattern)
	}
	for _, one := range patterns {
		found := false
		for _, plain := range braces(one) {
			any, err := l.add(plain)
			if err != nil {
				return nil, err
			}
			found = found || any
		}
		if !found {
			return nil, fmt.Errorf("%w: nothing is at %q", ErrMissing, one)
		}
	}
	return l.files, nil
}

// Quote returns a pattern that matches nothing but the given address.
func Quote(address string) string {
	var b strings.Builder
	for _, c := range address {
		if strings.ContainsRune(`*?[]{},\`, c) {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// lister collects files.
type lister struct {
	ctx       context.Context
	recursive bool
	buckets   map[string]*Bucket
	files     []File
}

// close closes the buckets.
func (l *lister) close() (err error) {
	for _, b := range l.buckets {
		err = errors.Join(err, b.Close())
	}
	return err
}

// add adds what a pattern without braces names. It reports whether there is anything.
func (l *lister) add(pattern string) (found bool, err error) {
	a, err := Parse(pattern)
	if err != nil {
		return false, err
	}
	b := l.buckets[a.Bucket()]
	if b == nil {
		if b, err = a.Open(l.ctx); err != nil {
			return false, err
		}
		l.buckets[a.Bucket()] = b
	}
	var segments []string
	if a.Key != "" {
		segments = strings.Split(a.Key, "/")
	}
	return l.match(b, "", segments)
}

// match adds what is found below a directory by a pattern's segments.
func (l *lister) match(b *Bucket, dir string, segments []string) (found bool, err error) {
	n := 0
	for n < len(segments) && !strings.ContainsAny(segments[n], "*?[") {
		dir = path.Join(dir, unquoted(segments[n]))
		n++
	}
	if n == len(segments) {
		e, found, err := b.find(l.ctx, dir)
		if err != nil || !found {
			return false, err
		}
		return true, l.take(b, dir, e)
	}
	pattern, rest := segments[n], segments[n+1:]
	if e, there, err := b.find(l.ctx, dir); err != nil || !there || !e.isDir {
		return false, err
	}
	list := b.visible
	if isHidden(pattern) {
		list = b.entries
	}
	in, err := list(l.ctx, dir)
	if err != nil {
		return false, err
	}
	for _, e := range in {
		matches, err := path.Match(pattern, e.name)
		switch key := path.Join(dir, e.name); {
		case err != nil:
			return false, fmt.Errorf("%w: %q: %w", ErrAddress, pattern, err)
		case !matches:
		case len(rest) == 0:
			found = true
			if err := l.take(b, key, e); err != nil {
				return false, err
			}
		case e.isDir:
			below, err := l.match(b, key, rest)
			if err != nil {
				return false, err
			}
			found = found || below
		}
	}
	return found, nil
}

// take adds a file, or those of a directory.
func (l *lister) take(b *Bucket, key string, e entry) error {
	if !e.isDir {
		if len(l.files) == maxEntries {
			return fmt.Errorf("%w: more than %d files", ErrTooLarge, maxEntries)
		}
		l.files = append(l.files, File{b.Name(key), e.size})
		return nil
	}
	in, err := b.visible(l.ctx, key)
	if err != nil {
		return err
	}
	for _, e := range in {
		if e.isDir && !l.recursive {
			continue
		}
		if err := l.take(b, path.Join(key, e.name), e); err != nil {
			return err
		}
	}
	return nil
}

// split cuts a pattern at a separator, not within braces or after a backslash.
func split(pattern string, separator byte) (parts []string) {
	depth, begin := 0, 0
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case c == '{':
			depth++
		case c == '}':
			depth = max(0, depth-1)
		case c == separator && depth == 0:
			parts = append(parts, pattern[begin:i])
			begin = i + 1
		}
	}
	return append(parts, pattern[begin:])
}

// maxAlternatives bounds what braces make of a pattern.
const maxAlternatives = 10_000

// braces returns the patterns that one with {a,b} stands for. Braces that aren't closed
// are characters.
func braces(pattern string) []string {
	done, todo := []string(nil), []string{pattern}
	for len(todo) > 0 && len(done)+len(todo) <= maxAlternatives {
		p := todo[0]
		todo = todo[1:]
		open, end := firstBraces(p)
		if open < 0 {
			done = append(done, p)
			continue
		}
		var next []string
		for _, word := range split(p[open+1:end], ',') {
			next = append(next, p[:open]+word+p[end+1:])
		}
		todo = append(next, todo...)
	}
	return append(done, todo...)
}

// firstBraces returns where the first pair of braces is, -1 if there is none.
func firstBraces(p string) (open, end int) {
	depth, open := 0, -1
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '\\':
			i++
		case '{':
			if depth++; depth == 1 {
				open = i
			}
		case '}':
			if depth--; depth == 0 {
				return open, i
			}
			depth = max(0, depth)
		}
	}
	return -1, -1
}

// unquoted returns a segment without the backslashes that take meanings away.
func unquoted(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
