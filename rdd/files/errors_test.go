package files

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"
)

// Who has no credentials is told so, and not who reads a file that is called like that.
func TestLacksCredentials(t *testing.T) {
	name := "s3://b/my-credentials.csv?region=x"
	for _, c := range []struct {
		name  string
		err   error
		lacks bool
	}{
		{name, errors.New("no EC2 IMDS role found, failed to refresh cached credentials"), true},
		{name, fmt.Errorf("GET b/my-credentials.csv: the server is busy"), false},
		{name + " at byte 7", fmt.Errorf("GET b/my-credentials.csv: the connection broke"), false},
		{name, fmt.Errorf("GET b/my-credentials.csv: no valid credentials"), true},
		{"/a", &fs.PathError{Op: "stat", Path: "/a/credentials", Err: syscall.EIO}, false},
	} {
		if err := explained("reading", c.name, c.err); errors.Is(err, ErrAccess) != c.lacks || !errors.Is(err, c.err) {
			t.Errorf("%v", err)
		}
	}
}
