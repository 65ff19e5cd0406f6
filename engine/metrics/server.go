package metrics

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hibana-engine/hibana/engine/security"
)

// Target is a process whose metrics can be scraped, as Prometheus's HTTP service
// discovery takes it.
type Target struct {
	Targets []string          `json:"targets"` // host:port
	Labels  map[string]string `json:"labels"`
}

// Server serves the metrics of a process.
type Server struct {
	Set *Set
	// Ready says why the process can't do its work now, nil if it can; /readyz answers
	// so. A nil function is always ready.
	Ready func() error
	// Targets returns the processes that this one has started, for /targets; nil for
	// none.
	Targets func() []Target
	Log     *slog.Logger
}

// Limits of a server.
const (
	headerPatience = 5 * time.Second
	scrapePatience = 30 * time.Second
	maxHeader      = 64 << 10
	maxScrapes     = 4 // at once
	closePatience  = time.Second
)

// Listen opens a listener for a Server at host:port, none for "". On loopback it takes anybody; other
// hosts take certificates: who scrapes must show one of the cluster's authority.
func Listen(ctx context.Context, address string, s security.Security) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	loopback, err := security.IsLoopback(address)
	if err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	if !loopback {
		if err := s.CheckListen(address); err != nil {
			return nil, fmt.Errorf("--metrics: %w", err)
		}
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w: another process has the port; --metrics takes another, with port 0 a free one", err)
	}
	if err != nil {
		return nil, fmt.Errorf("listening for who reads metrics: %w", err)
	}
	if !loopback {
		l = tls.NewListener(l, s.TLS("http/1.1"))
	}
	return l, nil
}

// Running is a Server that serves. The methods of nil do nothing.
type Running struct {
	address string
	cancel  context.CancelFunc
	work    sync.WaitGroup
}

// Start serves at a listener, which it takes over, until the Running is closed. Without a
// listener it serves nowhere and returns nil.
//
// THREADING: it serves in goroutines that Close waits for.
func (s *Server) Start(l net.Listener) *Running {
	if l == nil {
		return nil
	}
	r := &Running{address: l.Addr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.work.Go(func() { s.serve(ctx, l) })
	return r
}

// Address returns the host:port where it serves, "" for nowhere.
func (r *Running) Address() string {
	if r == nil {
		return ""
	}
	return r.address
}

// Close closes the listener and waits, a second at most, for what is being answered.
func (r *Running) Close() {
	if r != nil {
		r.cancel()
		r.work.Wait()
	}
}

// serve serves at a listener until ctx ends.
func (s *Server) serve(ctx context.Context, l net.Listener) {
	server := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: headerPatience, ReadTimeout: scrapePatience, WriteTimeout: scrapePatience,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxHeader, ErrorLog: s.errorLog(),
	}
	var work sync.WaitGroup
	work.Go(func() {
		<-ctx.Done()
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
		defer cancel()
		if server.Shutdown(patience) != nil {
			_ = server.Close() // who still reads has had its time
		}
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		s.Log.Warn("metrics aren't served any more", "address", l.Addr(), "err", err)
		<-ctx.Done()
	}
	work.Wait()
}

// errorLog is where what clients do wrong goes: to those who look for it.
func (s *Server) errorLog() *log.Logger { return slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug) }

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Set, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, Timeout: scrapePatience / 2, ErrorLog: s.errorLog()}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if s.Ready == nil {
			answer(w, nil)
			return
		}
		answer(w, s.Ready())
	})
	mux.HandleFunc("GET /targets", func(w http.ResponseWriter, _ *http.Request) {
		targets := []Target{} // rather than null
		if s.Targets != nil {
			targets = append(targets, s.Targets()...)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(targets) // an error is the reader's, who has gone
	})
	return mux
}

// answer says that all is well, or what isn't.
func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ok") // an error is the reader's, who has gone
}
