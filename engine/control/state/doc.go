// Package state is what the nodes of a cluster agree on: which jobs there are, each
// job's batch log, who its driver is, and which executors are there. It does no I/O
// and reads no clock: the same commands in the same order make the same state on
// every node, and the same state the same snapshot, byte for byte.
//
// Read it in this order: ids.go and budget.go (names and limits), state.go (what
// there is), command.go (what changes it: all conditional, and harmless when applied
// twice), jobs.go, joblog.go, executors.go and drivers.go (what each command does),
// snapshot.go, machine.go (a state that commands are applied to while others read).
package state
