package state

import (
	"fmt"

	"github.com/hibana-engine/hibana/engine/wire"
)

func (c *FoundCluster) apply(s *State, _ uint64) (Result, error) {
	if s.ClusterID == "" {
		s.ClusterID = c.ClusterID
	}
	return Result{}, nil
}

func (c *AdmitDriver) apply(s *State, index uint64) (Result, error) {
	switch now := s.Drivers[c.Node].Copy; {
	case c.Node == "" || c.Copy == "":
		return Result{}, fmt.Errorf("%w: driver %q with directory %q", wire.ErrInvalid, c.Node, c.Copy)
	case now == c.Copy:
		return Result{existed: true}, nil
	case now != c.Instead:
		return Result{}, fmt.Errorf("%w: driver %s has directory %q, not %q", wire.ErrSequence, c.Node, now, c.Instead)
	case now == "" && len(s.Drivers) >= MaxDrivers:
		return Result{}, fmt.Errorf("%w: there are %d drivers, which is the limit", wire.ErrTooLarge, len(s.Drivers))
	}
	s.Drivers[c.Node] = Admission{Copy: c.Copy, Index: index}
	return Result{Index: index}, nil
}
