package files

import (
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/hibana-engine/hibana/rdd"
)

// Option configures a stream of files: [Every], [MaxFiles], [Remember], [NewOnly],
// [Matching], [Recursive], [OnBadFile] and [Reading].
type Option interface{ applyToStream(*options) }

type options struct {
	every     time.Duration
	maxFiles  int
	remember  int
	newOnly   bool
	matching  string
	recursive bool
	bad       BadFiles
	reading   []rdd.FileOption
}

type option func(*options)

func (o option) applyToStream(to *options) { o(to) }

// Every sets how often the driver looks into the directory, at most at each batch or, with
// --asap, also between them: every second by default, which is also how long a file of the file
// system must stay as it is to count as whole.
func Every(d time.Duration) Option { return option(func(o *options) { o.every = d }) }

// MaxFiles is how many files a batch takes at most, 1,000 by default.
func MaxFiles(n int) Option { return option(func(o *options) { o.maxFiles = n }) }

// Remember is how many files that were read the stream tells from new ones by their names,
// 1,000 by default, up to 100,000: those modified last. Each takes some twelve bytes of each
// batch's allocation.
func Remember(n int) Option { return option(func(o *options) { o.remember = n }) }

// NewOnly leaves out what is in the directory when a job makes its first batch.
func NewOnly() Option { return option(func(o *options) { o.newOnly = true }) }

// Matching reads only files whose name, without directories, matches a pattern of package
// path, such as *.csv.
func Matching(pattern string) Option { return option(func(o *options) { o.matching = pattern }) }

// Recursive reads the files of the directory's directories, too.
func Recursive() Option { return option(func(o *options) { o.recursive = true }) }

// BadFiles says what becomes of files that can't be read: [Fail] or [Skip].
type BadFiles struct{ skip bool }

// Fail fails the batch with the file's name. It is the default: nothing is lost in silence.
func Fail() BadFiles { return BadFiles{} }

// Skip leaves out what can't be read of a file, counts it among the batch's bad records and
// says so in the log, of each file.
func Skip() BadFiles { return BadFiles{skip: true} }

// OnBadFile sets what becomes of files that can't be read, which are damaged, or were replaced
// or removed after they were planned: [rdd.OnBadFile] says when. A job with a checkpoint can't
// be started again without them, since it reads the same files again. For a function of the
// program that is told of such files give [Reading] an rdd.OnBadFile with [rdd.DeadLetter].
func OnBadFile(p BadFiles) Option { return option(func(o *options) { o.bad = p }) }

// Reading says how files are read: [rdd.MinPartitions] for all, [rdd.SplitSize] for lines and
// records, [rdd.MaxLine] for lines, [rdd.OnBadRecord] for [FileStream],
// [rdd.OnBadFile] for all.
func Reading(opts ...rdd.FileOption) Option {
	return option(func(o *options) { o.reading = append(o.reading, opts...) })
}

// Defaults and bounds of options.
const (
	defaultEvery    = time.Second
	defaultFiles    = 1000
	mostFiles       = 100_000
	defaultRemember = 1000
	mostRemembered  = 100_000
)

// errNilOption is what an operator is told that is given nil for an option.
var errNilOption = errors.New("an option is nil")

// optionsOf returns what the options ask for, and what is wrong with them.
func optionsOf(opts []Option) (options, error) {
	o := options{every: defaultEvery, maxFiles: defaultFiles, remember: defaultRemember}
	for _, opt := range opts {
		if opt == nil {
			return o, errNilOption
		}
		opt.applyToStream(&o)
	}
	_, err := path.Match(o.matching, "")
	switch {
	case err != nil:
		return o, fmt.Errorf("files.Matching(%q): %w", o.matching, err)
	case o.every <= 0:
		return o, fmt.Errorf("files.Every(%s): it must be above 0", o.every)
	case o.maxFiles < 1 || o.maxFiles > mostFiles:
		return o, fmt.Errorf("files.MaxFiles(%d): from 1 to %d are possible", o.maxFiles, mostFiles)
	case o.remember < 1 || o.remember > mostRemembered:
		return o, fmt.Errorf("files.Remember(%d): from 1 to %d are possible", o.remember, mostRemembered)
	}
	return o, nil
}
