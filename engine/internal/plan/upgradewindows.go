package plan

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// shapeOfWindow matches the line of Shape of a stream that looks back.
var shapeOfWindow = regexp.MustCompile(`^stream \d+: (\S+).* over (\S+)( every \S+)?$`)

// window returns what tells a stream that looks back from others, and reports whether a
// line of Shape is of one.
func window(shape string) (string, bool) {
	m := shapeOfWindow.FindStringSubmatch(shape)
	if m == nil {
		return "", false
	}
	if _, err := time.ParseDuration(m[2]); err != nil {
		return "", false
	}
	return m[1] + " over " + m[2] + m[3], true
}

// windows says which windows of a changed program the log has RDDs for. Those that states
// are made over go with their states.
func (u *Upgrade) windows(s *LogState, g *Graph) {
	if s.Header == nil {
		return
	}
	before := make(map[string]int) // how many there were of each
	for _, line := range Shape(s.Header.Graph) {
		if w, is := window(line); is {
			before[w]++
		}
	}
	lines := Shape(g.Describe())
	for i, stream := range g.Streams {
		w, is := window(lines[i])
		if !is || slices.ContainsFunc(g.States, func(st *State) bool { return st.Window != "" && stream.ID == g.stream(st.Stream).Parents[0].ID }) {
			continue
		}
		if before[w] > 0 {
			before[w]--
			u.Kept = append(u.Kept, fmt.Sprintf("%s at %s", w, stream.Site))
			continue
		}
		u.New = append(u.New, fmt.Sprintf("%s at %s: %s", w, stream.Site, s.partial(stream.Back)))
	}
}

// partial says which windows of a length that the log has not looked back over lack
// something.
func (s *LogState) partial(length time.Duration) string {
	first := s.First()
	var at *Allocation
	switch {
	case len(s.Past) > 0:
		at = s.Past[0]
	case len(s.Incomplete) > 0:
		at = s.Incomplete[0].Allocation
	}
	switch {
	case first == 1:
		return "the checkpoint has all batches since the job's start, so it lacks nothing"
	case at == nil:
		return fmt.Sprintf("the checkpoint has no batch before %d: the first windows are partial, as at a job's start", first)
	}
	return fmt.Sprintf("the checkpoint has no batch before %d: windows that end before %s may be partial",
		first, at.Time().Add(length).UTC().Format(time.RFC3339))
}
