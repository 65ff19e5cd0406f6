package raftgroup

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// A connection between drivers begins with a greeting and its answer, both of a
// fixed length. The greeting is greetingMagic, a byte that says what for and the
// sender's introduction; the answer is a verdict and the other node's
// introduction. That both know the token, or have certificates, TLS's handshake has
// shown. An introduction is the cluster, the copy of the data
// directory, the process (hexadecimal; zeros for what isn't known), the node id,
// all padded with zeros, and the big-endian index at which the copy was admitted.
const (
	raftProtocol    = "hibana-raft"
	greetingMagic   = "HBR2"
	introductionLen = 3*state.MarkLen + state.MaxID + 8
	greetingLen     = len(greetingMagic) + 1 + introductionLen
	answerLen       = 1 + introductionLen
)

// What a connection is for.
const (
	forRaft byte = 'R'
	forName byte = 'N' // to learn who answers; it is closed after the answer
)

// Answers to a greeting.
const (
	welcome      byte = 'K'
	otherCluster byte = 'C'
	otherCopy    byte = 'D'
	twice        byte = '2'
	stranger     byte = 'S'
)

// introduction is what a node says of itself.
type introduction struct {
	cluster  string // "" until it is known
	copy     string // which data directory it has
	start    string // random: which process it is
	node     string
	admitted uint64 // index of the command that made the copy this node's, 0 if it doesn't know of one
}

// greeting begins a connection.
type greeting struct {
	purpose byte
	introduction
}

// answer is what follows a greeting.
type answer struct {
	verdict byte
	introduction
}

// append encodes a greeting.
func (g *greeting) append(b []byte) []byte {
	b = append(append(b, greetingMagic...), g.purpose)
	return g.introduction.append(b)
}

// append encodes an answer.
func (a *answer) append(b []byte) []byte { return a.introduction.append(append(b, a.verdict)) }

func (i *introduction) append(b []byte) []byte {
	for _, id := range []string{i.cluster, i.copy, i.start} {
		b = appendField(b, id, state.MarkLen)
	}
	return binary.BigEndian.AppendUint64(appendField(b, i.node, state.MaxID), i.admitted)
}

// appendField appends s in n bytes. It is not longer: see DataDir and ValidID.
func appendField(b []byte, s string, n int) []byte {
	field := make([]byte, n)
	copy(field, s)
	return append(b, field...)
}

// parseGreeting decodes greetingLen bytes.
func parseGreeting(b []byte) (g greeting, err error) {
	if string(b[:len(greetingMagic)]) != greetingMagic {
		return g, fmt.Errorf("%w: greeting of an unknown protocol %q", wire.ErrFormat, b[:len(greetingMagic)])
	}
	b = b[len(greetingMagic):]
	g.purpose = b[0]
	if g.purpose != forRaft && g.purpose != forName {
		return g, fmt.Errorf("%w: a greeting for purpose %#x", wire.ErrMalformed, g.purpose)
	}
	if g.introduction, err = parseIntroduction(b[1:]); err == nil && (g.copy == "" || g.start == "") {
		err = fmt.Errorf("%w: driver %s doesn't introduce itself in full", wire.ErrMalformed, g.node)
	}
	return g, err
}

// parseAnswer decodes answerLen bytes.
func parseAnswer(b []byte) (a answer, err error) {
	a.verdict = b[0]
	a.introduction, err = parseIntroduction(b[1:])
	return a, err
}

func parseIntroduction(b []byte) (i introduction, err error) {
	for _, id := range []*string{&i.cluster, &i.copy, &i.start} {
		*id, b = cutField(b, state.MarkLen)
		if *id != "" && !state.ValidID(*id) {
			return i, fmt.Errorf("%w: a driver introduces itself with %q", wire.ErrMalformed, *id)
		}
	}
	i.node, b = cutField(b, state.MaxID)
	if !state.ValidID(i.node) {
		return i, fmt.Errorf("%w: a driver introduces itself as %q", wire.ErrMalformed, i.node)
	}
	i.admitted = binary.BigEndian.Uint64(b)
	return i, nil
}

// cutField reads a field of n bytes and returns what follows it.
func cutField(b []byte, n int) (string, []byte) {
	s := b[:n]
	for len(s) > 0 && s[len(s)-1] == 0 {
		s = s[:len(s)-1]
	}
	return string(s), b[n:]
}

// refusal says why the node with an id was turned away by the one at address.
func (a *answer) refusal(node, address string) error {
	switch a.verdict {
	case welcome:
		return nil
	case otherCluster:
		return fmt.Errorf("%w: one of the two data directories is of another cluster", wire.ErrOtherCluster)
	case otherCopy:
		return fmt.Errorf("%w for driver %q; if another engine-driver runs as %q give this one an id of its own, "+
			"if the directory that the cluster knows is lost for good start with --replace", ErrOtherCopy, node, node)
	case twice:
		return fmt.Errorf("%w: driver %s finds another %q at the address that it has for it; stop one of the two, or give this one an id of its own",
			ErrTwice, a.node, node)
	case stranger:
		return fmt.Errorf("%w: driver %s at %s has a list without %q", ErrPeers, a.node, address, node)
	}
	return fmt.Errorf("%w: it answers %#x", wire.ErrMalformed, a.verdict)
}

// isFinal reports whether a refusal doesn't end by waiting.
func isFinal(err error) bool { return errors.Is(err, ErrOtherCopy) || errors.Is(err, ErrTwice) }
