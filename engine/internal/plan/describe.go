package plan

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
)

// Describe returns one line for each stream and output, for guards and people. A
// line ends with the place in the program and what else tells it from others,
// which Shape leaves out.
func (g *Graph) Describe() []string {
	var lines []string
	for _, s := range g.Streams {
		line := fmt.Sprintf("stream %d: %s", s.ID, s.Op)
		for i, p := range s.Parents {
			sep := ", "
			if i == 0 {
				sep = " of "
			}
			line += fmt.Sprintf("%s%d", sep, p.ID)
		}
		if s.Back > 0 {
			line += fmt.Sprintf(" over %s", s.Back)
		}
		if s.Slide > 0 {
			line += fmt.Sprintf(" every %s", s.Slide)
		}
		lines = append(lines, line+s.where(s.Names, s.Parents...))
	}
	for _, o := range g.Outputs {
		lines = append(lines, fmt.Sprintf("output %d: %s of %d", o.Index, o.Op, o.Parent.ID)+o.where(nil, o.Parent))
	}
	for _, v := range g.Values {
		lines = append(lines, "per batch: "+v.Name+v.where(nil))
	}
	for _, s := range g.States {
		types := s.Types
		if len(s.Holds) > 0 {
			types = fmt.Sprintf("%s %q", types, s.Holds)
		}
		lines = append(lines, fmt.Sprintf("state: %s of %s at %s%sin %d partitions", s.Name, types, s.Site, details, s.Partitions))
	}
	for _, m := range g.Models {
		lines = append(lines, fmt.Sprintf("model: %s at %s", m.Name, m.Site))
	}
	for _, key := range slices.Sorted(maps.Keys(g.Settings)) {
		if s := g.Settings[key]; s.Given {
			lines = append(lines, s.describe())
		}
	}
	return lines
}

// Fingerprint is a digest of Describe: two processes of one program have the same.
func (g *Graph) Fingerprint() uint64 { return digest(g.Describe()) }

// Shape returns the lines of Describe without their places: what a program that
// was edited, or has other settings, must still have in common with its checkpoint.
func Shape(lines []string) []string {
	shapes := make([]string, 0, len(lines))
	for _, line := range lines {
		if strings.HasPrefix(line, settingLine) {
			continue
		}
		line, _, _ = strings.Cut(line, details)
		shapes = append(shapes, line[:max(0, strings.LastIndex(line, " at "))])
	}
	return shapes
}

// digest returns a hash of lines.
func digest(lines []string) uint64 {
	h := fnv.New64a()
	var n [8]byte
	for _, line := range lines {
		binary.BigEndian.PutUint64(n[:], uint64(len(line)))
		_, _ = h.Write(n[:]) // hash.Hash never fails
		_, _ = h.Write([]byte(line))
	}
	return h.Sum64()
}
