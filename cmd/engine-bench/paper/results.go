package paper

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/engine/disk"
)

// Version is the format of results files that this package reads and writes.
const Version = 2

// ErrResults: a results file can't be used; the error says why, and what to do.
var ErrResults = errors.New("the results can't be used")

// errOtherSettings: a results file is of runs that others can't be compared with.
var errOtherSettings = errors.New("other settings")

// banner begins the first line of a results file; the version and the settings follow.
const banner = "# engine-bench paper results, version "

// columns are the names of a row's fields.
var columns = [...]string{"kafka_nodes", "replication", "partitions", "scenario", "reader", "consumers", "repetition", "images",
	"producer_images_per_s", "consumers_images_per_s", "run_s", "at", "failed"}

// Settings are what all runs of a results file have in common: a run with others would
// be compared with what it can't be compared with.
type Settings struct {
	Images     int64  `json:"images"`
	Recognised int64  `json:"recognised"`
	Network    string `json:"network"`
	Brokers    string `json:"brokers"`
	Machine    string `json:"machine"`
}

// differs says in which settings another run differs, "" if in none.
func (s Settings) differs(o Settings) string {
	var d []string
	for _, f := range []struct {
		name      string
		had, have any
	}{
		{"images", s.Images, o.Images},
		{"recognised images", s.Recognised, o.Recognised},
		{"network", s.Network, o.Network},
		{"brokers", s.Brokers, o.Brokers},
		{"machine", s.Machine, o.Machine},
	} {
		if f.had != f.have {
			d = append(d, fmt.Sprintf("%s: %v there, %v now", f.name, f.had, f.have))
		}
	}
	return strings.Join(d, "; ")
}

// Measured is what a run measured.
type Measured struct {
	Written float64 // images/s, 0 if there is no producer
	Read    float64 // images/s of all consumers, 0 if there are none
}

// Row is a run that is over.
type Row struct {
	Run
	Measured
	Images  int64
	Seconds float64 // of the whole run, with what comes before and after what counts
	At      time.Time
	Failed  string // why it measured nothing
}

// head is the first line's JSON.
type head struct {
	ID string `json:"id"`
	Settings
}

// appender is a file that is written at its end.
type appender interface {
	io.WriteCloser
	Sync() error
	Truncate(size int64) error
}

// Results is an open results file: rows are added, none is changed.
type Results struct {
	ID   string // chosen when the file was made
	Rows []Row
	Torn bool // a crash had cut the last row off, which is dropped

	path string
	file appender
	size int64 // of what is whole
}

// Open opens a results file, or makes it, of runs with the given settings.
func Open(path, id string, s Settings) (*Results, error) {
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	r := &Results{ID: id, path: path}
	err = r.read(content, s)
	if errors.Is(err, errOtherSettings) && !slices.ContainsFunc(r.Rows, func(row Row) bool { return row.Failed == "" }) {
		r.Rows, r.size, err = nil, 0, nil // nothing was measured: it begins again
	}
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	r.file = f
	if r.size < int64(len(content)) {
		err = f.Truncate(r.size)
	}
	if err == nil && r.size == 0 {
		err = r.begin(s)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("writing %s: %w", path, err), f.Close())
	}
	return r, nil
}

// read takes in what a file holds.
func (r *Results) read(content []byte, s Settings) error {
	whole := content[:bytes.LastIndexByte(content, '\n')+1]
	if len(whole) == 0 && !strings.HasPrefix(banner, string(content[:min(len(content), len(banner))])) {
		return r.unusable("it isn't a results file of engine-bench paper; name another --out")
	}
	r.Torn, r.size = len(whole) < len(content), int64(len(whole))
	if len(whole) == 0 {
		return nil
	}
	first, rest, _ := bytes.Cut(whole, []byte("\n"))
	other := r.readHead(string(first), s)
	if other != nil && !errors.Is(other, errOtherSettings) {
		return other
	}
	return cmp.Or(r.readRows(rest), other)
}

// readHead takes in the first line.
func (r *Results) readHead(line string, s Settings) error {
	rest, ok := strings.CutPrefix(line, banner)
	version, settings, _ := strings.Cut(rest, ": ")
	if !ok {
		return r.unusable("it isn't a results file of engine-bench paper; name another --out")
	}
	if version != strconv.Itoa(Version) {
		return r.unusable("it is of version %s, and this engine-bench knows version %d; go on with the engine-bench that wrote it, or name another --out", version, Version)
	}
	var h head
	if err := json.Unmarshal([]byte(settings), &h); err != nil {
		return r.unusable("the settings in line 1 aren't JSON (%v); name another --out", err)
	}
	r.ID = h.ID
	if d := h.differs(s); d != "" {
		return r.unusable("it is of %w (%s); repeat the command line that began it, or name another --out", errOtherSettings, d)
	}
	return nil
}

// readRows takes in all lines after the first.
func (r *Results) readRows(lines []byte) error {
	in := csv.NewReader(bytes.NewReader(lines))
	in.FieldsPerRecord = len(columns)
	for line := 2; ; line++ {
		fields, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && fields[0] == columns[0] {
			continue
		}
		var row Row
		if err == nil {
			row, err = parseRow(fields)
		}
		if err != nil {
			return r.unusable("line %d is no row (%v); remove it, or name another --out", line, err)
		}
		r.Rows = append(r.Rows, row)
	}
}

// begin writes what a file begins with.
func (r *Results) begin(s Settings) error {
	settings, err := json.Marshal(head{r.ID, s})
	if err != nil {
		return err
	}
	return r.append(fmt.Appendf(nil, "%s%d: %s\n%s\n", banner, Version, settings, strings.Join(columns[:], ",")))
}

// Add keeps a row: when it returns nil, a crash doesn't lose it.
func (r *Results) Add(row Row) error {
	var line bytes.Buffer
	w := csv.NewWriter(&line)
	if err := w.Write(row.fields()); err != nil {
		return err
	}
	w.Flush()
	if err := r.append(line.Bytes()); err != nil {
		return fmt.Errorf("writing %s, which holds the runs before: %w", r.path, err)
	}
	r.Rows = append(r.Rows, row)
	return nil
}

// append writes whole lines, or nothing.
func (r *Results) append(lines []byte) error {
	_, err := r.file.Write(lines)
	if err == nil {
		err = r.file.Sync()
	}
	if err != nil {
		return errors.Join(disk.Explain(r.path, err), r.file.Truncate(r.size))
	}
	r.size += int64(len(lines))
	return nil
}

// Close closes the file.
func (r *Results) Close() error { return r.file.Close() }

func (r *Results) unusable(format string, args ...any) error {
	return fmt.Errorf("%w: %s: %w", ErrResults, r.path, fmt.Errorf(format, args...))
}

// fields returns the row as a line's fields.
func (r Row) fields() []string {
	return []string{strconv.Itoa(r.Nodes), strconv.Itoa(r.Replication), strconv.Itoa(r.Partitions), string(r.Scenario), string(r.Reader),
		strconv.Itoa(r.Consumers), strconv.Itoa(r.Repetition), strconv.FormatInt(r.Images, 10),
		rate(r.Written), rate(r.Read), strconv.FormatFloat(r.Seconds, 'f', 3, 64),
		r.At.UTC().Format(time.RFC3339), strings.Join(strings.Fields(r.Failed), " ")}
}

// rate writes images/s; there is no rate of nobody.
func rate(v float64) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

// parseRow reads a line's fields.
func parseRow(f []string) (Row, error) {
	var p fieldParser
	row := Row{
		Run:    Run{Cell{Setup{p.int(f[0]), p.int(f[1])}, p.int(f[2]), Scenario(f[3]), Reader(f[4]), p.int(f[5])}, p.int(f[6])},
		Images: int64(p.int(f[7])), Measured: Measured{p.rate(f[8]), p.rate(f[9])},
		Seconds: p.rate(f[10]), At: p.time(f[11]), Failed: f[12],
	}
	return row, p.err
}

// fieldParser reads fields and keeps the first error.
type fieldParser struct{ err error }

func (p *fieldParser) int(s string) int {
	v, err := strconv.Atoi(s)
	p.keep(err)
	return v
}

func (p *fieldParser) rate(s string) float64 {
	if s == "" {
		return 0
	}
	v, err := strconv.ParseFloat(s, 64)
	p.keep(err)
	return v
}

func (p *fieldParser) time(s string) time.Time {
	v, err := time.Parse(time.RFC3339, s)
	p.keep(err)
	return v
}

func (p *fieldParser) keep(err error) {
	if p.err == nil {
		p.err = err
	}
}
