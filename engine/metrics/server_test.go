package metrics_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/engine/metrics/metricstest"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/security/securitytest"
	"github.com/hibana-engine/hibana/engine/wire"
)

// start starts a server until the test ends and returns its address.
func start(t *testing.T, s *metrics.Server, address string, sec security.Security) string {
	t.Helper()
	s.Log = slog.New(slog.DiscardHandler)
	l, err := metrics.Listen(t.Context(), address, sec)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Start(l)
	t.Cleanup(r.Close)
	return r.Address()
}

// client returns a client that keeps no connection.
func client(c *tls.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}
}

func TestServer(t *testing.T) {
	set := metrics.NewSet()
	set.Counter("hibana_things_total", "Things.", "kind").WithLabelValues("good").Add(3)
	looked := set.Gauge("hibana_looked", "How often somebody looked.").WithLabelValues()
	set.Look(looked.Inc)
	var notReady error
	address := start(t, &metrics.Server{
		Set: set, Ready: func() error { return notReady },
		Targets: func() []metrics.Target {
			return []metrics.Target{metrics.ProcessTarget("127.0.0.1:1", "driver", wire.JobSpec{Incarnation: 7, Name: "count"})}
		},
	}, "127.0.0.1:0", security.Security{})
	c, url := client(nil), "http://"+address
	for n := range 2 {
		status, body := metricstest.Get(t, c, url+"/metrics")
		for _, line := range []string{`hibana_things_total{kind="good"} 3`, "# HELP hibana_things_total Things.", "# TYPE hibana_things_total counter", "go_goroutines ", "process_open_fds "} {
			if status != http.StatusOK || !strings.Contains(body, line) {
				t.Errorf("%d, without %q:\n%s", status, line, body)
			}
		}
		if want := []string{"hibana_looked 1\n", "hibana_looked 2\n"}[n]; !strings.Contains(body, want) {
			t.Errorf("scrape %d is without %q", n, want)
		}
	}
	if status, body := metricstest.Get(t, c, url+"/healthz"); status != http.StatusOK || body != "ok\n" {
		t.Error(status, body)
	}
	if status, body := metricstest.Get(t, c, url+"/readyz"); status != http.StatusOK || body != "ok\n" {
		t.Error(status, body)
	}
	notReady = errors.New("no leader")
	if status, body := metricstest.Get(t, c, url+"/readyz"); status != http.StatusServiceUnavailable || body != "no leader\n" {
		t.Error(status, body)
	}
	_, body := metricstest.Get(t, c, url+"/targets")
	var targets []metrics.Target
	if err := json.Unmarshal([]byte(body), &targets); err != nil || len(targets) != 1 || targets[0].Targets[0] != "127.0.0.1:1" ||
		targets[0].Labels["hibana_job"] != "7" || targets[0].Labels["hibana_job_name"] != "count" || targets[0].Labels["hibana_role"] != "driver" {
		t.Error(body, err)
	}
	if status, _ := metricstest.Get(t, c, url+"/secrets"); status != http.StatusNotFound {
		t.Error(status)
	}
}

// A server without targets says so in a way that Prometheus takes.
func TestNoTargets(t *testing.T) {
	address := start(t, &metrics.Server{Set: metrics.NewSet()}, "127.0.0.1:0", security.Security{})
	if _, body := metricstest.Get(t, client(nil), "http://"+address+"/targets"); body != "[]\n" {
		t.Error(body)
	}
}

// A server that other machines can reach takes certificates of the cluster's authority,
// and only who shows one may read.
func TestBeyondLoopback(t *testing.T) {
	ctx := t.Context()
	for name, s := range map[string]security.Security{"nothing": {}, "a token": securitytest.Token()} {
		if _, err := metrics.Listen(ctx, "0.0.0.0:0", s); !errors.Is(err, wire.ErrInsecure) || !strings.Contains(err.Error(), "--tls-ca") || !strings.Contains(err.Error(), "--metrics") {
			t.Errorf("with %s: %v", name, err)
		}
	}
	a := securitytest.NewAuthority(t)
	node := a.Node(t, "127.0.0.1", time.Now().Add(time.Hour))
	address := start(t, &metrics.Server{Set: metrics.NewSet()}, "0.0.0.0:0", node)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	url := "https://127.0.0.1:" + port + "/healthz"
	if _, body := metricstest.Get(t, client(node.TLS("http/1.1")), url); body != "ok\n" {
		t.Error(body)
	}
	without := node.TLS("http/1.1")
	without.Certificates = nil
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := client(without).Do(req); err == nil {
		_ = resp.Body.Close()
		t.Error("it answers one without a certificate")
	}
}

func TestBadAddresses(t *testing.T) {
	s := &metrics.Server{Set: metrics.NewSet()}
	if l, err := metrics.Listen(t.Context(), "", security.Security{}); l != nil || err != nil {
		t.Error(l, err)
	}
	s.Start(nil).Close()
	taken := start(t, s, "127.0.0.1:0", security.Security{})
	for address, says := range map[string]string{
		taken:            "another process has the port",
		"7077":           "it takes host:port",
		"127.0.0.1:port": "lookup tcp/port",
	} {
		if _, err := metrics.Listen(t.Context(), address, security.Security{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", address, err)
		}
	}
}
