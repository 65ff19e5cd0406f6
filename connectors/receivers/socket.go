package receivers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"

	"github.com/hibana-engine/hibana/engine"
)

// checkAddress reports an address that nothing can be at.
func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || host == "" || bad != nil || n == 0 {
		return fmt.Errorf("%w: %q is not HOST:PORT, with a port from 1 to 65535, e.g. localhost:9999", engine.ErrUsage, address)
	}
	return nil
}

// linesFrom returns what receives lines from a TCP server.
func linesFrom(address string, o options) Receiver {
	return func(ctx context.Context, store Store) error {
		conn, err := connect(ctx, address, o)
		if err != nil {
			return fmt.Errorf("connecting: %w", err)
		}
		defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
		if err := store(ctx); err != nil { // of nothing: it says that there is a connection
			return errors.Join(err, closed(conn))
		}
		return errors.Join(receiveLines(ctx, conn, o.maxLine, store), closed(conn))
	}
}

// connect connects to a TCP server, or gives it up.
func connect(ctx context.Context, address string, o options) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return o.dial(ctx, "tcp", address)
}

// closed closes a connection, which may be closed already.
func closed(conn net.Conn) error {
	if err := conn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// errEnded says that a server has closed the connection.
var errEnded = errors.New("the other end has closed the connection")

// receiveLines stores the lines that come from a connection until it ends.
func receiveLines(ctx context.Context, from io.Reader, most int, store Store) error {
	buf := make([]byte, 0, 64<<10)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)] // a line that is longer than the buffer
		}
		n, err := from.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		lines, rest := cutLines(buf)
		if errors.Is(err, io.EOF) && len(rest) > 0 {
			lines, rest = append(lines, rest), nil
		}
		long := slices.IndexFunc(append(lines, rest), func(l []byte) bool { return len(l) > most })
		if long >= 0 {
			lines = lines[:long]
		}
		if len(lines) > 0 {
			if err := store(ctx, lines...); err != nil {
				return err
			}
		}
		switch {
		case long >= 0:
			return fmt.Errorf("a line has more than %d bytes: if it is one, raise receivers.MaxLine", most)
		case errors.Is(err, io.EOF):
			return errEnded
		case err != nil:
			return fmt.Errorf("receiving: %w", err)
		}
		buf = buf[:copy(buf[:cap(buf)], rest)]
	}
}

// cutLines returns the lines in b, without their ends, and what is left behind the last one.
func cutLines(b []byte) (lines [][]byte, rest []byte) {
	for {
		line, behind, found := bytes.Cut(b, []byte("\n"))
		if !found {
			return lines, b
		}
		lines, b = append(lines, bytes.TrimSuffix(line, []byte("\r"))), behind
	}
}
