package receivers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/rdd/files"
)

// Option configures a stream of what is received: [Directory], [MaxBytes], [Dial] and [MaxLine].
type Option interface{ applyToStream(*options) }

type options struct {
	dir      string
	at       files.Address // that dir is
	maxBytes int64
	maxLine  int
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

type option func(*options)

func (o option) applyToStream(to *options) { o(to) }

// Directory is where the stream's log is, an absolute path, or a URL such as s3://BUCKET/received
// (import the driver, _ "gocloud.dev/blob/s3blob"): below it each stream has a directory
// that bears its name, so no two may have one name. A job that begins anew reads what it finds there.
// On a cluster all machines must reach it.
func Directory(dir string) Option { return option(func(o *options) { o.dir = dir }) }

// MaxBytes is how many bytes the log may have, 1 GiB by default. One that all machines reach may
// have a file for each 4 KiB of them, 1,048,576 at most. While two receive, because one was cut off and
// another one has begun, together they may have up to twice as much.
func MaxBytes(n int64) Option { return option(func(o *options) { o.maxBytes = n }) }

// Dial sets what connects [SocketTextStream], e.g. the DialContext of a tls.Dialer. It runs where
// the receiver does. Its context ends when it has returned, after 10 seconds at the latest.
func Dial(f func(ctx context.Context, network, address string) (net.Conn, error)) Option {
	return option(func(o *options) { o.dial = f })
}

// MaxLine is how many bytes a line of [SocketTextStream] may have, 1 MiB by default. A longer
// one ends the connection.
func MaxLine(bytes int) Option { return option(func(o *options) { o.maxLine = bytes }) }

// Defaults and bounds of options.
const (
	defaultBytes = 1 << 30
	leastBytes   = 1 << 20
	mostBytes    = 1 << 40
	defaultLine  = 1 << 20
	mostLine     = 32 << 20
	dialTimeout  = 10 * time.Second
)

// errNilOption is what an operator is told that is given nil for an option.
var errNilOption = errors.New("an option is nil")

// optionsOf returns what the options ask for, and what is wrong with them.
func optionsOf(opts []Option) (options, error) {
	o := options{maxBytes: defaultBytes, maxLine: defaultLine, dial: new(net.Dialer).DialContext}
	for _, opt := range opts {
		if opt == nil {
			return o, errNilOption
		}
		opt.applyToStream(&o)
	}
	isURL := strings.Contains(o.dir, "://")
	if isURL || filepath.IsAbs(o.dir) {
		var err error
		if o.at, err = files.Parse(o.dir); err != nil {
			return o, fmt.Errorf("receivers.Directory: %w", err)
		}
	}
	switch {
	case o.dir != "" && !isURL && !filepath.IsAbs(o.dir):
		return o, fmt.Errorf("receivers.Directory(%q): give an absolute path or a URL, since a later run may work in another directory", o.dir)
	case o.maxBytes < leastBytes || o.maxBytes > mostBytes:
		return o, fmt.Errorf("receivers.MaxBytes(%d): from %d to %d are possible", o.maxBytes, int64(leastBytes), int64(mostBytes))
	case o.maxLine < 1 || o.maxLine > mostLine:
		return o, fmt.Errorf("receivers.MaxLine(%d): from 1 to %d are possible", o.maxLine, mostLine)
	case o.dial == nil:
		return o, errors.New("receivers.Dial: the function is nil")
	}
	return o, nil
}
