package rdd

import (
	"fmt"
	"math"
	"slices"
)

// FileOption says how files are read or written: [MinPartitions], [SplitSize], [MaxLine],
// [Recursive], [Comma], [NoHeader], [MultiLine], [OnBadRecord] and [OnBadFile] for reading, [Overwrite],
// [Gzip] and [Zstd] for writing. An operator to which one means nothing refuses it.
type FileOption interface{ applyToFiles(*fileOptions) }

// fileOptions is what a program asked for.
type fileOptions struct {
	given map[string]bool // names of options

	minPartitions int
	splitSize     int64
	maxLine       int
	recursive     bool
	comma         rune
	noHeader      bool
	multiLine     bool
	bad           TryOption
	badFile       BadRecords
	overwrite     bool
	compression   compression
}

// Defaults and bounds of options.
const (
	defaultSplit = 64 << 20
	leastSplit   = 1
	defaultLine  = 16 << 20
	mostLine     = 1 << 30
)

type fileOption struct {
	name  string
	apply func(*fileOptions)
}

func (o fileOption) applyToFiles(f *fileOptions) {
	f.given[o.name] = true
	o.apply(f)
}

// applyToFiles makes OnBadRecord an option of what reads records out of lines.
func (o TryOption) applyToFiles(f *fileOptions) {
	f.given["OnBadRecord"] = true
	f.bad = o
}

// MinPartitions cuts files into n parts or more if they are large enough and aren't
// compressed; without it there are as many as the default parallelism.
func MinPartitions(n int) FileOption {
	return fileOption{"MinPartitions", func(f *fileOptions) { f.minPartitions = n }}
}

// SplitSize cuts files that aren't compressed into parts of at most so many bytes, and a
// tenth; the default is 64 MiB.
func SplitSize(bytes int64) FileOption {
	return fileOption{"SplitSize", func(f *fileOptions) { f.splitSize = bytes }}
}

// MaxLine is how many bytes a line may have, 16 MiB by default: a longer one fails the
// task, since the file may be none of lines at all.
func MaxLine(bytes int) FileOption {
	return fileOption{"MaxLine", func(f *fileOptions) { f.maxLine = bytes }}
}

// Recursive reads the files of a directory's directories, too.
func Recursive() FileOption {
	return fileOption{"Recursive", func(f *fileOptions) { f.recursive = true }}
}

// fileOptions returns what the options ask for. Those that aren't among allowed are errors.
func (o op) fileOptions(opts []FileOption, allowed ...string) fileOptions {
	f := fileOptions{given: make(map[string]bool), minPartitions: o.sc.DefaultParallelism(), splitSize: defaultSplit, maxLine: defaultLine, comma: ','}
	for _, opt := range opts {
		if opt != nil {
			opt.applyToFiles(&f)
		}
	}
	for name := range f.given {
		if !slices.Contains(allowed, name) {
			o.fail(fmt.Errorf("%w: rdd.%s means nothing to it", ErrArgument, name))
			break
		}
	}
	f.minPartitions = o.partitions(f.minPartitions)
	if f.splitSize < leastSplit {
		o.fail(fmt.Errorf("%w: a split of %d bytes", ErrArgument, f.splitSize))
		f.splitSize = math.MaxInt64
	}
	if f.maxLine < 1 || f.maxLine > mostLine {
		o.fail(fmt.Errorf("%w: lines of at most %d bytes; from 1 to %d are possible", ErrArgument, f.maxLine, mostLine))
		f.maxLine = mostLine
	}
	return f
}
