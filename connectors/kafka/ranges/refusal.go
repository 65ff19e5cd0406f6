package ranges

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Refusal reports whether an error is the answer of something that listens, such
// as a broker that doesn't know the client's password, and not a lack of one. An
// answer that may be another one the next time, as from a broker that is starting,
// refuses nothing.
func Refusal(err error) bool {
	if isFatal(err) {
		return true
	}
	if _, ok := errors.AsType[*kgo.ErrFirstReadEOF](err); ok {
		return true
	}
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return certificate || record || alert
}

// Unreachable says of an error of a connection to a broker with the given id
// whose address it is that can't be reached; others it returns as they are. Ids
// below 0 are addresses that the user gave.
func Unreachable(node int32, err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	if node < 0 || !ok || op.Op != "dial" {
		return err
	}
	return fmt.Errorf("the address that broker %d advertises (its advertised.listeners) can't be reached from here: %w", node, err)
}
