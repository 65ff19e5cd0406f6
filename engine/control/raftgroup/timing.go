package raftgroup

import "time"

// Timing says how fast a Raft group notices that its leader is gone. It is
// noticed after one to three Heartbeats.
type Timing struct {
	Heartbeat time.Duration // without a word from the leader before an election
	Election  time.Duration // without a result before another election
	Lease     time.Duration // without a majority before the leader steps down
}

// DefaultHeartbeat notices a dead leader within 900 ms: a follower's timer runs one
// to two heartbeats, and one that runs out just after a heartbeat starts again.
const DefaultHeartbeat = 300 * time.Millisecond

// DefaultTiming is TimingOf(DefaultHeartbeat).
func DefaultTiming() Timing { return TimingOf(DefaultHeartbeat) }

// TimingOf returns the timing of a group whose followers wait so long for a word
// from the leader. The longer it is the busier the machines may be, and the later
// a dead leader is noticed.
func TimingOf(heartbeat time.Duration) Timing {
	return Timing{Heartbeat: heartbeat, Election: heartbeat, Lease: heartbeat * 5 / 6}
}
