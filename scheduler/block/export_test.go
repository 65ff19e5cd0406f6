package block

import "testing"

// Fill makes a store's files such that writing finds no room.
func Fill(t *testing.T, s *Store) { fill(t, s) }
