// Package metricstest helps to test what a process's metrics say.
package metricstest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/engine/security"
)

// Serve serves metrics on loopback until the test ends. The function it returns scrapes
// them and makes sure of lines.
func Serve(t *testing.T, server *metrics.Server) (has func(lines ...string)) {
	t.Helper()
	server.Log = slog.New(slog.DiscardHandler)
	l, err := metrics.Listen(t.Context(), "127.0.0.1:0", security.Security{})
	if err != nil {
		t.Fatal(err)
	}
	r := server.Start(l)
	t.Cleanup(r.Close)
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return func(lines ...string) {
		t.Helper()
		status, body := Get(t, c, "http://"+r.Address()+"/metrics")
		if status != http.StatusOK {
			t.Fatal(status, body)
		}
		for _, line := range lines {
			if !strings.Contains(body, "\n"+line+"\n") {
				t.Errorf("there is no line %q", line)
			}
		}
		if t.Failed() {
			t.Log(body)
		}
	}
}

// Get returns what a server answers to a client.
func Get(t *testing.T, c *http.Client, url string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
