package wire

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
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
// that says [ErrInsecure].
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
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading the token file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("reading the token file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", fmt.Errorf("%w: the token file %s has mode %04o, so that others may read it; run chmod 600 on it, or remove it to get a new one", ErrInsecure, path, mode)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return "", fmt.Errorf("%w: the token file %s belongs to user %d, this is %d", ErrInsecure, path, st.Uid, os.Geteuid())
	}
	b := make([]byte, 4*tokenBytes)
	n, err := f.Read(b)
	if err != nil {
		return "", fmt.Errorf("reading the token file %s: %w", path, err)
	}
	token := strings.TrimSpace(string(b[:n]))
	if raw, err := hex.DecodeString(token); err != nil || len(raw) != tokenBytes {
		return "", fmt.Errorf("%w: the token file %s doesn't hold %d hexadecimal digits; remove it to get a new one", ErrInsecure, path, 2*tokenBytes)
	}
	return token, nil
}

// tokenHeader carries the token of a call.
const tokenHeader = "hibana-token"

// callToken shows a token with each call. It implements credentials.PerRPCCredentials.
type callToken string

// GetRequestMetadata returns the token.
func (t callToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{tokenHeader: string(t)}, nil
}

// RequireTransportSecurity returns true: only whose certificate was verified is
// shown a token.
func (callToken) RequireTransportSecurity() bool { return true }

// errNoToken says what a caller lacked.
var errNoToken = errors.New("the call carries no valid token")

// authorize returns the interceptors that demand a token of each call; nothing
// for "".
func authorize(token string) (unary []grpc.UnaryServerInterceptor, stream []grpc.StreamServerInterceptor) {
	if token == "" {
		return nil, nil
	}
	check := func(ctx context.Context) error {
		md, _ := metadata.FromIncomingContext(ctx)
		if got := md.Get(tokenHeader); len(got) != 1 || subtle.ConstantTimeCompare([]byte(got[0]), []byte(token)) != 1 {
			return fmt.Errorf("%w: %w", ErrUnauthenticated, errNoToken)
		}
		return nil
	}
	unary = append(unary, func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if err := check(ctx); err != nil {
			return nil, err
		}
		return next(ctx, req)
	})
	stream = append(stream, func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		if err := check(ss.Context()); err != nil {
			return err
		}
		return next(srv, ss)
	})
	return unary, stream
}
