package encoding

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"
)

var timeType = reflect.TypeFor[time.Time]()

// instantSize is the length of an instant: seconds since 1970, nanoseconds.
const instantSize = 8 + 4

// times returns the codec of time.Time. A time keeps the day and the hour that
// it shows, on whatever machine it is read: an instant, then, unless it is UTC,
// the offset from it, the zone's abbreviation and the location's name. The
// monotonic reading, which means nothing to another process, is dropped.
func times(z *zones) typeCodec {
	return typeCodec{
		append: func(_ bounds, dst []byte, v reflect.Value) ([]byte, error) {
			return appendTime(dst, *v.Addr().Interface().(*time.Time)), nil
		},
		decode: func(_ bounds, src []byte, v reflect.Value) ([]byte, error) {
			t, rest, err := z.decodeTime(src)
			*v.Addr().Interface().(*time.Time) = t
			return rest, err
		},
	}
}

func appendTime(dst []byte, t time.Time) []byte {
	var zone []byte
	if loc := t.Location(); loc != time.UTC {
		abbreviation, offset := t.Zone()
		zone = binary.BigEndian.AppendUint32(zone, uint32(offset))
		zone = AppendString(zone, abbreviation)
		zone = AppendString(zone, loc.String())
	}
	dst = appendExtHead(dst, extTime, instantSize+len(zone))
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.Unix()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(t.Nanosecond()))
	return append(dst, zone...)
}

func (z *zones) decodeTime(src []byte) (time.Time, []byte, error) {
	if b, rest, ok := decodeExt(src, extInstant); ok {
		t, err := decodeInstant(b)
		return t, rest, err
	}
	b, rest, ok := decodeExt(src, extTime)
	if !ok || len(b) < instantSize {
		return time.Time{}, src, fmt.Errorf("%w: expected a time", ErrCorrupt)
	}
	t := time.Unix(int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint32(b[8:]))).UTC()
	b = b[instantSize:]
	if len(b) == 0 {
		return t, rest, nil
	}
	if len(b) < 4 {
		return t, src, short("a time's zone")
	}
	zone := zone{offset: int(int32(binary.BigEndian.Uint32(b)))}
	var err error
	if zone.abbreviation, b, err = DecodeString(b[4:]); err != nil {
		return t, src, err
	}
	if zone.location, _, err = DecodeString(b); err != nil {
		return t, src, err
	}
	return z.in(t, zone), rest, nil
}

// Instant returns the time that an extension of msgpack holds, for who reads values without
// their types; false if it holds none. Its zone is the offset from UTC alone.
func Instant(kind int8, payload []byte) (time.Time, bool) {
	switch {
	case kind == extInstant:
		t, err := decodeInstant(payload)
		return t.UTC(), err == nil
	case kind != extTime || len(payload) < instantSize:
		return time.Time{}, false
	}
	t := time.Unix(int64(binary.BigEndian.Uint64(payload)), int64(binary.BigEndian.Uint32(payload[8:]))).UTC()
	if zone := payload[instantSize:]; len(zone) >= 4 {
		t = t.In(time.FixedZone("", int(int32(binary.BigEndian.Uint32(zone)))))
	}
	return t, true
}

// decodeInstant reads the format's timestamp, which checkpoints of older versions
// hold; they show it in the zone of the machine that reads it.
func decodeInstant(b []byte) (t time.Time, err error) {
	switch len(b) {
	case 4:
		t = time.Unix(int64(binary.BigEndian.Uint32(b)), 0)
	case 8:
		u := binary.BigEndian.Uint64(b)
		t = time.Unix(int64(u&(1<<34-1)), int64(u>>34))
	case instantSize:
		t = time.Unix(int64(binary.BigEndian.Uint64(b[4:])), int64(binary.BigEndian.Uint32(b)))
	default:
		return t, fmt.Errorf("%w: a time of %d bytes", ErrCorrupt, len(b))
	}
	if t.IsZero() {
		t = time.Time{}
	}
	return t, nil
}

// zone is what a clock somewhere shows at some instant.
type zone struct {
	offset       int // seconds east of UTC
	abbreviation string
	location     string
}

// zones finds the locations of times. It is safe for concurrent use.
type zones struct {
	mu     sync.Mutex
	loaded map[string]*time.Location // by name; nil if this machine hasn't it
	fixed  map[zone]*time.Location
}

// maxZones bounds how many locations are remembered.
const maxZones = 1000

func newZones() *zones {
	return &zones{loaded: make(map[string]*time.Location), fixed: make(map[zone]*time.Location)}
}

// in returns t in the location of the zone. If this machine doesn't know it, or
// has another offset for it at t, the location has the zone's offset always.
func (z *zones) in(t time.Time, zone zone) time.Time {
	same := func(t time.Time) bool {
		abbreviation, offset := t.Zone()
		return abbreviation == zone.abbreviation && offset == zone.offset
	}
	if local := t.Local(); time.Local.String() == zone.location && same(local) {
		return local
	}
	if zone.location != zone.abbreviation { // else it is a fixed zone already
		if loc := z.load(zone.location); loc != nil && same(t.In(loc)) {
			return t.In(loc)
		}
	}
	return t.In(z.fix(zone))
}

// load returns the location with the given name, nil if this machine hasn't it.
func (z *zones) load(name string) *time.Location {
	z.mu.Lock()
	defer z.mu.Unlock()
	loc, known := z.loaded[name]
	if known || len(z.loaded) == maxZones {
		return loc
	}
	name = strings.Clone(name) // not the block's
	if found, err := time.LoadLocation(name); err == nil {
		loc = found
	}
	z.loaded[name] = loc
	return loc
}

// fix returns the location of a zone that never changes.
func (z *zones) fix(zone zone) *time.Location {
	z.mu.Lock()
	defer z.mu.Unlock()
	zone.location = ""
	if loc, known := z.fixed[zone]; known {
		return loc
	}
	zone.abbreviation = strings.Clone(zone.abbreviation) // not the block's
	loc := time.FixedZone(zone.abbreviation, zone.offset)
	if len(z.fixed) < maxZones {
		z.fixed[zone] = loc
	}
	return loc
}
