package raftgroup

import (
	"bytes"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Of an outage Raft's log says each thing once, then how often it came again.
func TestRaftRepeatsItselfOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		w := &lineWriter{log: slog.New(slog.NewTextHandler(&out, nil))}
		says := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
		for i := range 350 { // of 35 s
			says(`[ERROR] raft: failed to heartbeat to: peer=127.0.0.1:7078 backoff time=%dms error="dial tcp 127.0.0.1:%d->127.0.0.1:7078: connect: connection refused"`, i, 40_000+i)
			if i%10 == 0 {
				says(`[ERROR] raft: failed to heartbeat to: peer=127.0.0.1:7079 backoff time=1s error="dial tcp"`)
				says(`[WARN]  raft: Election timeout reached, restarting election`)
			}
			time.Sleep(100 * time.Millisecond)
		}
		says(`[INFO]  raft: entering follower state: follower=1 term=%d`, 9)
		says(`[INFO]  raft: entering follower state: follower=1 term=%d`, 9)
		time.Sleep(time.Hour)
		says(`[WARN]  raft: rejecting vote request since we have a leader: from=127.0.0.1:7078`)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		count := func(pattern string) (n int) {
			for _, l := range lines {
				if regexp.MustCompile(pattern).MatchString(l) {
					n++
				}
			}
			return n
		}
		for pattern, want := range map[string]int{
			`level=ERROR .*peer=127.0.0.1:7078 `: 4, // the first, the count of 30 s, the next, the count of 5 s
			`7078 .*as_often=299 within=30s`:     1,
			`7079 .*as_often=29 within=30s`:      1,
			`Election timeout .*as_often=\d+`:    2,
			`entering follower`:                  2,
			`rejecting vote`:                     1,
		} {
			if got := count(pattern); got != want {
				t.Errorf("%d lines say %q, want %d", got, pattern, want)
			}
		}
		if len(lines) > 16 {
			t.Errorf("%d lines:\n%s", len(lines), &out)
		}
	})
}
