package ranges

import (
	"cmp"
	"slices"
	"sync"
)

// link is one broker's queue of streams that want their next chunk. It is their
// holder.
//
// THREADING: mu guards pending. Of other locks those of streams and of the history
// are taken meanwhile.
type link struct {
	node int32
	wake chan struct{} // a token for a fetcher; capacity: the number of fetchers

	mu      sync.Mutex
	pending []*stream
}

func newLink(node int32, fetchers int) *link {
	return &link{node: node, wake: make(chan struct{}, fetchers)}
}

// add becomes the holder of streams.
func (l *link) add(streams ...*stream) {
	l.mu.Lock()
	l.pending = append(l.pending, streams...)
	l.mu.Unlock()
	l.signal()
}

func (l *link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take moves streams from the queue into a request, up to its size limit, and says
// how much to ask for each. No partition may be in a request twice, and a stream
// that must be alone is. Those that nobody reads are dropped: they are gone.
func (l *link) take(h *history, o *Options) (streams []*stream, asked []int32, gone []*stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var total int64
	kept := l.pending[:0]
	for i, s := range l.pending {
		if s.isClosed() {
			gone = append(gone, s)
			continue
		}
		ask := h.estimate(s, o.PartitionBytes)
		twin := slices.ContainsFunc(streams, func(o *stream) bool { return o.key() == s.key() })
		if len(streams) > 0 && (s.alone || streams[0].alone || twin || total+int64(ask) > int64(o.RequestBytes)) {
			if !twin {
				kept = append(kept, l.pending[i:]...)
				break
			}
			kept = append(kept, s)
			continue
		}
		streams, asked, total = append(streams, s), append(asked, ask), total+int64(ask)
	}
	clear(l.pending[len(kept):])
	l.pending = kept
	if len(kept) > 0 {
		l.signal()
	}
	return streams, asked, gone
}

// links are the brokers that were fetched from. Each has fetchers, which are
// started when the first stream is for it.
//
// THREADING: mu guards open and closed, and that no goroutine is started after
// close.
type links struct {
	fetchers int              // of each link
	fetch    func(*link, int) // a fetcher's goroutine: it takes from the link until it is told to end
	work     sync.WaitGroup   // the fetchers

	mu     sync.Mutex
	open   map[int32]*link // by broker
	closed bool
}

func newLinks(fetchers int, fetch func(*link, int)) *links {
	return &links{fetchers: fetchers, fetch: fetch, open: make(map[int32]*link)}
}

// to returns a broker's link, nil if links are closed.
func (ls *links) to(node int32) *link {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed {
		return nil
	}
	l := ls.open[node]
	if l == nil {
		l = newLink(node, ls.fetchers)
		ls.open[node] = l
		for i := range ls.fetchers {
			ls.work.Go(func() { ls.fetch(l, i) })
		}
	}
	return l
}

// add hands streams to the links of their leaders, those of one leader together. It
// sorts the slice.
func (ls *links) add(streams []*stream) {
	slices.SortStableFunc(streams, func(a, b *stream) int { return cmp.Compare(a.at.node, b.at.node) })
	for len(streams) > 0 {
		node, n := streams[0].at.node, 1
		for n < len(streams) && streams[n].at.node == node {
			n++
		}
		if l := ls.to(node); l != nil {
			l.add(streams[:n]...)
		}
		streams = streams[n:]
	}
}

// close starts no more fetchers and waits for those that there are. Who closes has
// told them to end.
func (ls *links) close() {
	ls.mu.Lock()
	ls.closed = true
	ls.mu.Unlock()
	ls.work.Wait()
}
