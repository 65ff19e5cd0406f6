package plan

import (
	"context"
	"fmt"
)

// ValueLog holds the results of Value in the order of the calls. On the driver
// it computes and records what is missing; on executors it only replays.
type ValueLog struct {
	Recorded []NamedValue
	next     int
	// Record makes a new value durable; nil where values are only replayed.
	Record func(ctx context.Context, v NamedValue) error
}

// Get returns the next value, which must have this name. It is computed and
// recorded if it is missing and this process may.
func (l *ValueLog) Get(ctx context.Context, name string, compute func(context.Context) ([]byte, error)) ([]byte, error) {
	if l.next < len(l.Recorded) {
		v := l.Recorded[l.next]
		if v.Name != name {
			return nil, fmt.Errorf("%w: call %d of Value is %q here and was recorded as %q", ErrDiverged, l.next+1, name, v.Name)
		}
		l.next++
		return v.Data, nil
	}
	if l.Record == nil {
		return nil, fmt.Errorf("%w: %w %q", ErrDiverged, ErrNotRecorded, name)
	}
	data, err := compute(ctx)
	if err != nil {
		return nil, err
	}
	v := NamedValue{Name: name, Data: data}
	if err := l.Record(ctx, v); err != nil {
		return nil, fmt.Errorf("recording the value: %w", err)
	}
	l.Recorded = append(l.Recorded, v)
	l.next++
	return data, nil
}
