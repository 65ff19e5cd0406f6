package ranges

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Only an answer that will not change refuses the client.
func TestRefusal(t *testing.T) {
	for _, c := range []struct {
		err     error
		refuses bool
		says    string
	}{
		{kerr.SaslAuthenticationFailed, true, "Kafka at b:1 refuses the client: asking: SASL_AUTHENTICATION_FAILED"},
		{kerr.TopicAuthorizationFailed, true, "refuses the client"},
		{&kgo.ErrFirstReadEOF{}, true, "refuses the client"},
		{kerr.LeaderNotAvailable, false, "Kafka at b:1 can't serve the client yet: asking: LEADER_NOT_AVAILABLE"},
		{kerr.CoordinatorLoadInProgress, false, "can't serve the client yet"},
		{kerr.RequestTimedOut, false, "can't serve the client yet"},
		{io.EOF, false, "no Kafka broker answers at b:1"},
	} {
		err := fmt.Errorf("asking: %w", c.err)
		if got := Refusal(err); got != c.refuses {
			t.Errorf("%v: a refusal: %v", err, got)
		}
		if text := (&NoBrokerError{Brokers: []string{"b:1"}, Err: err}).Error(); !strings.Contains(text, c.says) {
			t.Errorf("%s\ndoesn't say %s", text, c.says)
		}
	}
}
