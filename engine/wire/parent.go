package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// A daemon starts the processes of jobs from the submitted binary, with the
// program's arguments, RoleEnv in the environment and one end of a socket pair
// as file descriptor 3. Over it the process calls the daemon's service, JobLog
// or Worker. The socket is also how each sees that the other is gone.

// RoleEnv is the environment variable that tells a program which role it plays.
// A program that is run by hand hasn't got it.
const RoleEnv = "HIBANA_ROLE"

// The roles of a program's process, values of RoleEnv.
const (
	RoleDriver   = "driver"   // run the job: the service on fd 3 is JobLog
	RoleExecutor = "executor" // run tasks: the service on fd 3 is Worker
)

// parentFD is the process's end of the socket pair.
const parentFD = 3

// Parent is a job process's connection to the daemon that started it.
type Parent struct {
	CC   *grpc.ClientConn
	gone chan struct{}
}

// OpenParent connects to the daemon over fd 3. It is called once, early: no
// other code of the process has touched the descriptor.
func OpenParent() (*Parent, error) {
	syscall.CloseOnExec(parentFD)
	f := os.NewFile(parentFD, "daemon")
	if f == nil {
		return nil, fmt.Errorf("%w: %s is set, but there is no daemon on file descriptor 3; run the program without it", ErrInvalid, RoleEnv)
	}
	conn, err := net.FileConn(f)
	err = errors.Join(err, f.Close())
	if err != nil {
		return nil, fmt.Errorf("%w: %s is set, but file descriptor 3 isn't a daemon's socket; run the program without it: %w", ErrInvalid, RoleEnv, err)
	}
	return NewParent(conn)
}

// NewParent is OpenParent over a connection that is there already.
func NewParent(conn net.Conn) (*Parent, error) {
	p := &Parent{gone: make(chan struct{})}
	once := make(chan net.Conn, 1)
	once <- &goneConn{Conn: conn, gone: p.gone}
	opts := append(clientOptions(insecure.NewCredentials()), grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
		select {
		case c := <-once:
			return c, nil
		default:
			return nil, errors.New("the daemon that started this process is gone")
		}
	}))
	cc, err := grpc.NewClient("passthrough:///daemon", opts...)
	if err != nil {
		return nil, fmt.Errorf("connecting to the daemon: %w", err)
	}
	p.CC = cc
	cc.Connect()
	return p, nil
}

// Gone is closed when the daemon has closed the connection or died. The process
// exits then, at once: another one has its place.
func (p *Parent) Gone() <-chan struct{} { return p.gone }

// Close closes the connection.
func (p *Parent) Close() error { return p.CC.Close() }

// goneConn closes gone when the connection breaks.
type goneConn struct {
	net.Conn
	gone chan struct{}
	once sync.Once
}

func (c *goneConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.once.Do(func() { close(c.gone) })
	}
	return n, err
}

func (c *goneConn) Close() error {
	c.once.Do(func() { close(c.gone) })
	return c.Conn.Close()
}

// SocketPair returns the two ends of the connection between a daemon and a
// process it is about to start: the daemon's, to serve with ServeConn, and the
// file to give to the process as its first extra file. The caller closes both.
func SocketPair() (daemon net.Conn, process *os.File, err error) {
	fds, err := socketpair()
	if err != nil {
		return nil, nil, fmt.Errorf("making a socket pair: %w", err)
	}
	process = os.NewFile(uintptr(fds[1]), "process")
	f := os.NewFile(uintptr(fds[0]), "daemon")
	daemon, err = net.FileConn(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("making a socket pair: %w", err), process.Close())
	}
	return daemon, process, nil
}

// ServeConn serves one connection, a SocketPair's, until it breaks or the server
// is stopped. It closes the connection.
func ServeConn(s *grpc.Server, conn net.Conn) {
	l := &oneConn{addr: conn.LocalAddr(), conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conns <- &closingConn{Conn: conn, closed: l.close}
	_ = s.Serve(l) // it ends with the listener, which ends with the connection
	l.close()
	s.Stop()
	_ = conn.Close()
}

// NewParentServer returns a server for ServeConn: who holds the other end of the
// pair needs no token. It closes a connection over which nobody has spoken until
// patience is over.
func NewParentServer(patience time.Duration) *grpc.Server {
	return newServer(insecure.NewCredentials(), "", grpc.ConnectionTimeout(patience))
}

// oneConn is a listener that accepts one connection.
type oneConn struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { l.close(); return nil }
func (l *oneConn) Addr() net.Addr { return l.addr }
func (l *oneConn) close()         { l.once.Do(func() { close(l.closed) }) }

// closingConn tells when it is closed.
type closingConn struct {
	net.Conn
	closed func()
}

func (c *closingConn) Close() error {
	c.closed()
	return c.Conn.Close()
}
