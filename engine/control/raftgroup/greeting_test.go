package raftgroup

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"reflect"
	"sync"
	"testing"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/security/securitytest"
)

// A greeting is read in one way only; nothing that comes makes the listener panic or
// hang, and what is no greeting of a peer isn't let in.
func FuzzGreeting(f *testing.F) {
	p := Peers{"a": "127.0.0.1:1", "b": "127.0.0.1:2"}
	a := newRoster(p, introduction{copy: "copy-a", start: "1", node: "a"})
	a.learn("one", map[string]state.Admission{"a": {Copy: "copy-a", Index: 3}, "b": {Copy: "copy-b", Index: 4}})
	good := greeting{purpose: forName, introduction: introduction{cluster: "one", copy: "copy-b", start: "s", node: "b", admitted: 4}}
	f.Add(good.append(nil))
	good.purpose = forRaft
	f.Add(good.append(nil))
	good.copy = "copy-x"
	f.Add(good.append(nil))
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		may := false
		if len(b) >= greetingLen {
			g, err := parseGreeting(b[:greetingLen])
			if err == nil && !bytes.Equal(g.append(nil), b[:greetingLen]) {
				t.Fatalf("%q is read as %+v", b[:greetingLen], g)
			}
			may = err == nil && a.judge(g.introduction) == welcome
		}
		if len(b) >= answerLen {
			if a, err := parseAnswer(b[:answerLen]); err == nil && !bytes.Equal(a.append(nil), b[:answerLen]) {
				t.Fatalf("%q is read as %+v", b[:answerLen], a)
			}
		}
		d := newListener(nowhere{}, securitytest.Token(), a, slog.New(slog.DiscardHandler))
		d.raft.Close() // nobody takes the connection
		here, there := net.Pipe()
		var talking sync.WaitGroup
		talking.Go(func() { _, _ = io.Copy(io.Discard, there) })
		talking.Go(func() {
			_, _ = there.Write(b)
			if len(b) < greetingLen {
				_ = there.Close()
			}
		})
		if d.routeRaft(here) == nil && !may {
			t.Errorf("%q is let in", b)
		}
		_, _ = here.Close(), there.Close()
		talking.Wait()
	})
}

// nowhere is the net.Listener of a listener that takes no connections.
type nowhere struct{ net.Listener }

func (nowhere) Addr() net.Addr { return &net.TCPAddr{} }

// What is read as an identity is one, and stays the same when it is saved.
func FuzzIdentity(f *testing.F) {
	f.Add([]byte(`{"format":1,"node":"a","cluster":"","copy":"c"}`))
	f.Add([]byte(`{"format":1,"node":"a","cluster":"x","copy":"c","replaces":true,"drivers":{"a":{"copy":"c","index":7}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := parseIdentity(b)
		if err != nil {
			return
		}
		saved, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseIdentity(saved); err != nil || !reflect.DeepEqual(normal(again), normal(id)) {
			t.Fatalf("%+v became %+v, %v", id, again, err)
		}
		r := newRoster(Peers{id.Node: "127.0.0.1:1"}, introduction{copy: id.Copy, start: "s", node: id.Node})
		r.learn(id.Cluster, id.Drivers)
		i := r.introduce()
		if got, err := parseIntroduction(i.append(nil)); err != nil || got != i {
			t.Fatalf("it introduces itself as %+v, read as %+v, %v", i, got, err)
		}
	})
}

// normal returns an identity in which no drivers are nil.
func normal(id identity) identity {
	if len(id.Drivers) == 0 {
		id.Drivers = nil
	}
	return id
}
