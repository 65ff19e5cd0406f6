package files

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // the scheme file
)

// fileScheme is the scheme of the file system, which may be left out.
const fileScheme = "file"

// Address is where a file or a directory is: a key in a bucket. The file system is one
// bucket.
type Address struct {
	scheme string
	bucket string // what stands between the scheme and the key
	query  string // of the URL, without ?
	Key    string // without a slash at its beginning or end
}

// Parse returns the address that a path or a URL is: SCHEME://BUCKET/KEY, perhaps with
// parameters for the bucket's driver, such as ?region=eu-central-1. What has no scheme is
// a path, from the process's working directory if it is relative.
func Parse(given string) (Address, error) {
	scheme, rest, ok := strings.Cut(given, "://")
	switch {
	case given == "":
		return Address{}, fmt.Errorf("%w: it is empty: give a path or a URL", ErrAddress)
	case !ok:
		return fileAddress(given)
	case scheme == fileScheme:
		_, rest, _ = strings.Cut(rest, "/")
		rest, _ = cutQuery(rest)
		if plain, err := url.PathUnescape(rest); err == nil {
			rest = plain
		}
		return fileAddress("/" + rest)
	case !blob.DefaultURLMux().ValidBucketScheme(scheme):
		return Address{}, fmt.Errorf("%w: %q: this program has drivers for %s; a path or a file: URL works, others need a blank import of their driver%s",
			ErrAddress, given, strings.Join(blob.DefaultURLMux().BucketSchemes(), ", "), driverOf(scheme))
	}
	a := Address{scheme: scheme}
	rest, a.query = cutQuery(rest)
	a.bucket, a.Key, _ = strings.Cut(rest, "/")
	a.Key = strings.Trim(a.Key, "/")
	return a, nil
}

// cutQuery cuts a URL at its parameters. A question mark that none follow is of a pattern.
func cutQuery(rest string) (before, query string) {
	if i := strings.LastIndexByte(rest, '?'); i >= 0 && strings.Contains(rest[i:], "=") {
		return rest[:i], rest[i+1:]
	}
	return rest, ""
}

// driverOf names the driver of a scheme, if it is a known one.
func driverOf(scheme string) string {
	known := map[string]string{"s3": "s3blob", "gs": "gcsblob", "azblob": "azureblob", "mem": "memblob"}
	if known[scheme] == "" {
		return ""
	}
	return fmt.Sprintf(` (import _ "gocloud.dev/blob/%s")`, known[scheme])
}

// fileAddress returns the address of a path.
func fileAddress(given string) (Address, error) {
	abs, err := filepath.Abs(given)
	if err != nil {
		return Address{}, fmt.Errorf("%w: %q: %w", ErrAddress, given, err)
	}
	return Address{scheme: fileScheme, Key: strings.TrimPrefix(filepath.ToSlash(abs), "/")}, nil
}

// String returns the address as Parse takes it.
func (a Address) String() string {
	if a.scheme == fileScheme {
		return "/" + a.Key
	}
	s := a.scheme + "://" + a.bucket + "/" + a.Key
	if a.query != "" {
		s += "?" + a.query
	}
	return s
}

// URL returns the address with its scheme, also for the file system.
func (a Address) URL() string {
	if a.scheme == fileScheme {
		return (&url.URL{Scheme: fileScheme, Path: "/" + a.Key}).String()
	}
	return a.String()
}

// IsLocal reports whether the address is one of the file system, where a file is seen while
// it is written; in a bucket it is there when it is whole.
func (a Address) IsLocal() bool { return a.scheme == fileScheme }

// Join returns the address of what has the given name within a directory.
func (a Address) Join(name string) Address {
	a.Key = path.Join(a.Key, name)
	return a
}

// Bucket returns the URL of the bucket: addresses with equal ones are in one.
func (a Address) Bucket() string {
	if a.scheme == fileScheme {
		// Files are made beside their final place, since a rename doesn't cross file
		// systems, and without the driver's file of attributes.
		return "file:///?metadata=skip&no_tmp_dir=true"
	}
	u := a.scheme + "://" + a.bucket
	if a.query != "" {
		u += "?" + a.query
	}
	return u
}

// at returns the address of another key of the bucket.
func (a Address) at(key string) Address {
	a.Key = key
	return a
}
