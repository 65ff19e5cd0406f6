package security

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hibana-engine/hibana/engine/wire"
)

// tokenBytes is how much randomness a token holds.
const tokenBytes = 32

// NewToken returns a random token: 64 hexadecimal digits.
func NewToken() string {
	b := make([]byte, tokenBytes)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// DefaultTokenFile returns where processes of one user share a token unless
// told otherwise: $HIBANA_TOKEN_FILE or ~/.hibana/token.
func DefaultTokenFile() string {
	if path := os.Getenv("HIBANA_TOKEN_FILE"); path != "" {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(os.TempDir(), fmt.Sprintf("hibana-%d", os.Getuid()), "token")
	}
	return filepath.Join(home, ".hibana", "token")
}

// LoadToken reads a token file, and makes one with a random token if there is
// none. A file that others may read, or that somebody else owns, is an error
// that wraps [ErrInsecure].
func LoadToken(path string) (string, error) {
	token, err := readToken(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("making the token file: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".token-*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("making the token file: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(NewToken() + "\n")
	if err = errors.Join(err, tmp.Close()); err != nil {
		return "", fmt.Errorf("writing the token file: %w", err)
	}
	// Of processes that start together one wins; the others read its token.
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("making the token file: %w", err)
	}
	return readToken(path)
}

// readToken reads a token file.
func readToken(path string) (string, error) {
	b, err := ReadPrivate(path)
	if err != nil {
		return "", fmt.Errorf("reading the token file: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if raw, err := hex.DecodeString(token); err != nil || len(raw) != tokenBytes {
		return "", fmt.Errorf("%w: the token file %s doesn't hold %d hexadecimal digits; it takes the one of the cluster's other processes",
			wire.ErrInsecure, path, 2*tokenBytes)
	}
	return token, nil
}

// maxPrivate bounds a file with a secret, in bytes.
const maxPrivate = 1 << 20

// ReadPrivate reads a file with a secret in it, such as a token, a key or a password. One that others may read, or that
// somebody else owns, is an error that wraps [wire.ErrInsecure].
func ReadPrivate(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o, so that others may read it; run chmod 600 on it",
			wire.ErrInsecure, path, mode)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("%w: %s belongs to user %d, this is %d", wire.ErrInsecure, path, st.Uid, os.Geteuid())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPrivate))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return b, nil
}
