package remote

import "testing"

// A hint isn't kept for an executor that is behind, nor for one without a stream.
func TestHintsDontWait(t *testing.T) {
	hint := &ToExecutor{Prefetch: new(Prefetch)}
	o := newOutbox()
	o.hint(hint)
	o.open(nil)
	o.hint(hint)
	o.hint(hint)
	o.post(&ToExecutor{Forget: new(Forget)})
	o.hint(hint)
	if len(o.messages) != 2 || o.messages[0].Prefetch == nil || o.messages[1].Forget == nil {
		t.Errorf("%d messages wait", len(o.messages))
	}
}
