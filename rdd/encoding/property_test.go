package encoding

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// What passes the check comes back equal: types of all kinds, and values of
// them, are made at random.
func TestWhatIsTakenComesBackEqual(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	taken, refused := 0, 0
	for i := range uint64(1500) {
		ok, err := comesBackEqual(seed + i)
		if err != nil {
			t.Fatalf("seed %d: %v", seed+i, err)
		}
		if taken++; !ok {
			taken--
			refused++
		}
	}
	if taken < 500 || refused < 100 {
		t.Errorf("%d types were taken, %d refused", taken, refused)
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		if _, err := comesBackEqual(seed); err != nil {
			t.Error(err)
		}
	})
}

// comesBackEqual writes and reads values of one type; ok is false for one that
// has no codec.
func comesBackEqual(seed uint64) (ok bool, err error) {
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	typ := g.typ(4)
	key := typ.Comparable() && g.IntN(2) == 0
	codec, err := compile(typ, key)
	if err != nil {
		return false, nil
	}
	var values []reflect.Value
	var b []byte
	for range 3 {
		v := reflect.New(typ).Elem()
		g.fill(v, 6)
		if b, err = codec.append(bounds{maxDepth, maxSize}, b, v); err != nil {
			return true, fmt.Errorf("%s: %#v can't be written: %w", typ, v, err)
		}
		values = append(values, v)
	}
	if g.IntN(20) == 0 { // broken bytes give an error or some value, nothing else
		broken := bytes.Clone(b)
		broken[g.IntN(len(b))] ^= 1 << g.IntN(8)
		_, _ = codec.decode(bounds{depth: maxDepth}, broken, reflect.New(typ).Elem())
	}
	for _, want := range values {
		if rest, err := Skip(b); err != nil {
			return true, fmt.Errorf("%s: %#v isn't one value: %w", typ, want, err)
		} else if got := reflect.New(typ).Elem(); true {
			left, err := codec.decode(bounds{depth: maxDepth}, b, got)
			if err != nil || len(left) != len(rest) || !same(got, want) {
				return true, fmt.Errorf("%s: %w, %#v came back as %#v, as % x", typ, err, want, got, b)
			}
			b = left
		}
	}
	if len(b) > 0 {
		return true, fmt.Errorf("%s: %d bytes are left", typ, len(b))
	}
	return true, nil
}

// Types that a generator doesn't make up.
type (
	Inner  struct{ Name string }
	inner  struct{ N int }
	List   struct{ Next *List }
	Tree   []Tree
	Table  map[string]Table
	Shadow struct {
		*Inner
		Name string
	} //nolint
	Maybe struct {
		*Inner
		X int
	}
	ByValue struct {
		inner
		Inner
		Y int
	}
	TwoEdge struct {
		Inner
		Name string
	}
	Stamped struct {
		time.Time
		Name string
	}
	Stamp   struct{ time.Time }
	Late    struct{ *time.Time }
	Number  struct{ big.Int }
	Numbers struct {
		*big.Int
		Name string
	}
	Port struct {
		netip.Addr
		Port uint16
	}
	marker struct{}
	Marked struct {
		marker
		X int
	}
	Lost struct{ A, b int }
	Out  struct {
		A int
		B int `msgpack:"-"`
	}
	Options struct {
		_msgpack struct{} `msgpack:",as_array,omitempty"`
		A, B     int
		S        []int
	}
	Sparse struct {
		_msgpack struct{} `msgpack:",omitempty"`
		F        float64
		S        []int
		T        time.Time
		M        map[string]int
		A        [2]float32
		P        **int
	}
	Inline struct {
		Inner `msgpack:",inline"`
		Out   `msgpack:",noinline"`
		Other string `msgpack:"o,alias:other,omitempty"`
	}
	Custom  struct{ a, b int }
	Raw     struct{ s string }
	Valued  struct{ A int }
	Half    struct{ A int }
	Text    uint8
	Words   map[string]int
	Forever *Forever
	Level   int8
	Ticks   time.Duration
)

func (marker) MarshalText() ([]byte, error)   { return nil, nil }
func (*marker) UnmarshalText([]byte) error    { return nil }
func (v Valued) MarshalText() ([]byte, error) { return []byte("x"), nil }
func (v Valued) UnmarshalText([]byte) error   { return nil } // into a copy
func (v Half) MarshalBinary() ([]byte, error) { return []byte("x"), nil }
func (t Text) MarshalText() ([]byte, error)   { return bytes.Repeat([]byte{'x'}, int(t)), nil }
func (t *Text) UnmarshalText(b []byte) error  { *t = Text(len(b)); return nil }
func (w Words) MarshalBinary() ([]byte, error) {
	return msgpack.Marshal(map[string]int(w))
}
func (w *Words) UnmarshalBinary(b []byte) error {
	return msgpack.Unmarshal(b, (*map[string]int)(w))
}
func (c *Custom) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeMulti(c.a, c.b) }
func (c *Custom) DecodeMsgpack(d *msgpack.Decoder) error { return d.DecodeMulti(&c.a, &c.b) }
func (r Raw) MarshalMsgpack() ([]byte, error)            { return []byte(r.s), nil }
func (r *Raw) UnmarshalMsgpack(b []byte) error           { r.s = string(b); return nil }

var madeTypes = []reflect.Type{
	reflect.TypeFor[Inner](), reflect.TypeFor[List](), reflect.TypeFor[Tree](), reflect.TypeFor[Table](), reflect.TypeFor[Shadow](),
	reflect.TypeFor[Maybe](), reflect.TypeFor[ByValue](), reflect.TypeFor[TwoEdge](), reflect.TypeFor[Stamped](), reflect.TypeFor[Stamp](),
	reflect.TypeFor[Late](), reflect.TypeFor[Number](), reflect.TypeFor[Numbers](), reflect.TypeFor[Port](), reflect.TypeFor[Marked](),
	reflect.TypeFor[Lost](), reflect.TypeFor[Out](), reflect.TypeFor[Options](), reflect.TypeFor[Sparse](), reflect.TypeFor[Inline](),
	reflect.TypeFor[Custom](), reflect.TypeFor[Raw](), reflect.TypeFor[Valued](), reflect.TypeFor[Half](), reflect.TypeFor[Text](),
	reflect.TypeFor[Words](), reflect.TypeFor[Forever](), reflect.TypeFor[Level](), reflect.TypeFor[Ticks](), reflect.TypeFor[time.Time](),
	reflect.TypeFor[big.Int](), reflect.TypeFor[big.Float](), reflect.TypeFor[big.Rat](), reflect.TypeFor[netip.Addr](), reflect.TypeFor[url.URL](),
	reflect.TypeFor[time.Location](), reflect.TypeFor[any](), reflect.TypeFor[error](), reflect.TypeFor[func()](), reflect.TypeFor[chan int](),
	reflect.TypeFor[complex128](), reflect.TypeFor[uintptr](), reflect.TypeFor[struct{}](), reflect.TypeFor[[0]func()](),
}

var basicTypes = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](),
	reflect.TypeFor[int64](), reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](),
	reflect.TypeFor[uint64](), reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[string](), reflect.TypeFor[[]byte](),
}

type generator struct{ *rand.Rand }

// typ makes up a type of at most the given depth.
func (g generator) typ(depth int) reflect.Type {
	switch n := g.IntN(10); {
	case n < 2 || depth == 0:
		return basicTypes[g.IntN(len(basicTypes))]
	case n < 5:
		return madeTypes[g.IntN(len(madeTypes))]
	case n == 5:
		return reflect.PointerTo(g.typ(depth - 1))
	case n == 6:
		return reflect.SliceOf(g.typ(depth - 1))
	case n == 7:
		return reflect.ArrayOf(g.IntN(4), g.typ(depth-1))
	case n == 8:
		key := g.typ(depth - 1)
		for !key.Comparable() || key.Kind() == reflect.Interface {
			key = g.typ(depth - 1)
		}
		return reflect.MapOf(key, g.typ(depth-1))
	}
	var fields []reflect.StructField
	for i := range g.IntN(4) {
		tags := []string{"", "-", ",omitempty", fmt.Sprintf("n%d", i), fmt.Sprintf("n%d,omitempty,alias:m%d", i, i), "F0"}
		tag := reflect.StructTag(fmt.Sprintf("msgpack:%q", tags[g.IntN(len(tags))]))
		fields = append(fields, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: g.typ(depth - 1), Tag: tag})
	}
	return reflect.StructOf(fields)
}

// fill sets a value to some other one, at most so deep.
func (g generator) fill(v reflect.Value, depth int) {
	text := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(g.Uint32())
		}
		return string(b)
	}
	length := []int{0, 1, 2, 3, 15, 16, 40}[g.IntN(7)]
	if depth < 5 {
		length = min(length, 2)
	}
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		*p = g.time()
		return
	case *big.Int:
		p.SetBytes([]byte(text(length)))
		return
	case *big.Float:
		p.SetPrec(uint(g.IntN(300))).SetInt64(g.Int64())
		p.Quo(p, big.NewFloat(3))
		return
	case *big.Rat:
		p.SetFrac64(g.Int64(), 1+g.Int64N(1000))
		return
	case *netip.Addr:
		*p = []netip.Addr{{}, netip.MustParseAddr("1.2.3.4"), netip.MustParseAddr("::1%eth0")}[g.IntN(3)]
		return
	case *url.URL:
		*p = url.URL{Scheme: "http", Host: "a", Path: "/b"}
		return
	case *Custom:
		*p = Custom{g.Int(), g.Int()}
		return
	case *Raw:
		p.s = text(length)
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(g.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(g.Int64() >> g.IntN(64) * int64(1-2*g.IntN(2)))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(g.Uint64() >> g.IntN(64))
	case reflect.Float32, reflect.Float64:
		v.SetFloat([]float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), g.NormFloat64()}[g.IntN(5)])
	case reflect.String:
		v.SetString(text(length))
	case reflect.Pointer:
		if depth > 0 && g.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			g.fill(v.Elem(), depth-1)
		}
	case reflect.Slice:
		if depth > 0 && g.IntN(4) > 0 {
			v.Set(reflect.MakeSlice(v.Type(), length, length))
			for i := range length {
				g.fill(v.Index(i), depth-1)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			g.fill(v.Index(i), depth)
		}
	case reflect.Map:
		if depth > 0 && g.IntN(4) > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range min(length, 20) {
				k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				g.fill(k, depth-1)
				g.fill(e, depth-1)
				v.SetMapIndex(k, e)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); v.Field(i).CanSet() || f.Anonymous && f.Type.Kind() == reflect.Struct {
				g.fillField(v.Field(i), depth)
			}
		}
	}
}

// fillField fills a field, or the exported ones of an embedded struct that isn't.
func (g generator) fillField(v reflect.Value, depth int) {
	if v.CanSet() {
		g.fill(v, depth)
		return
	}
	for i := range v.NumField() {
		g.fillField(v.Field(i), depth)
	}
}

func (g generator) time() time.Time {
	t := time.Unix(g.Int64N(1<<36)-1<<35, g.Int64N(1e9))
	switch g.IntN(6) {
	case 0:
		return time.Time{}
	case 1:
		return t.UTC()
	case 2:
		return t.In(time.FixedZone([]string{"", "UTC", "X", "Europe/Berlin"}[g.IntN(4)], g.IntN(100_000)-50_000))
	case 3:
		if loc, err := time.LoadLocation("America/New_York"); err == nil {
			return t.In(loc)
		}
	case 4:
		return time.Time{}.In(time.FixedZone("CET", 3600))
	}
	return t
}

// same reports whether two values are equal where an encoding has to keep them:
// a NaN is one, and what is left out on purpose doesn't count.
func same(a, b reflect.Value) bool {
	switch x := a.Addr().Interface().(type) {
	case *time.Time:
		y := b.Addr().Interface().(*time.Time)
		const shown = "2006-01-02 15:04:05.999999999 -0700 MST"
		return x.Format(shown) == y.Format(shown) && x.AddDate(0, 6, 0).Format(shown) == y.AddDate(0, 6, 0).Format(shown)
	case *big.Int:
		return x.Cmp(b.Addr().Interface().(*big.Int)) == 0
	case *big.Float:
		y := b.Addr().Interface().(*big.Float)
		return x.Cmp(y) == 0 && x.Prec() == y.Prec()
	case *big.Rat:
		return x.Cmp(b.Addr().Interface().(*big.Rat)) == 0
	case *Custom, *Raw, *netip.Addr, *url.URL:
		return reflect.DeepEqual(a.Interface(), b.Interface())
	}
	switch a.Kind() {
	case reflect.Float32, reflect.Float64:
		return math.Float64bits(a.Float()) == math.Float64bits(b.Float()) || a.Float() != a.Float() && b.Float() != b.Float()
	case reflect.Pointer:
		return a.IsNil() == b.IsNil() && (a.IsNil() || same(a.Elem(), b.Elem()))
	case reflect.Slice, reflect.Array:
		if a.Kind() == reflect.Slice && a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		return a.IsNil() == b.IsNil() && sameEntries(a, b)
	case reflect.Struct:
		for i := range a.NumField() {
			f := a.Type().Field(i)
			if out := strings.HasPrefix(f.Tag.Get("msgpack"), "-"); !out && f.Name != "_msgpack" && !sameField(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}

// sameField compares fields, also embedded structs that aren't exported.
func sameField(a, b reflect.Value) bool {
	if a.CanInterface() {
		return same(a, b)
	}
	for i := range a.NumField() {
		if !sameField(a.Field(i), b.Field(i)) {
			return false
		}
	}
	return true
}

// sameEntries pairs the entries of two maps, whose keys may be unequal to
// themselves.
func sameEntries(a, b reflect.Value) bool {
	entries := func(m reflect.Value) (list [][2]reflect.Value) {
		for it := m.MapRange(); it.Next(); {
			k, e := reflect.New(m.Type().Key()).Elem(), reflect.New(m.Type().Elem()).Elem()
			k.SetIterKey(it)
			e.SetIterValue(it)
			list = append(list, [2]reflect.Value{k, e})
		}
		return list
	}
	rest := entries(b)
	for _, x := range entries(a) {
		i := slices.IndexFunc(rest, func(y [2]reflect.Value) bool { return same(x[0], y[0]) && same(x[1], y[1]) })
		if i < 0 {
			return false
		}
		rest = slices.Delete(rest, i, i+1)
	}
	return len(rest) == 0
}

// What can't be kept is refused, with the reason.
func TestRefused(t *testing.T) {
	_, _ = Lost{b: 1}.b, Options{}._msgpack
	_ = Sparse{}._msgpack
	for typ, says := range map[reflect.Type]string{
		reflect.TypeFor[TwoEdge]():                       `both encoded as "Name"`,
		reflect.TypeFor[Valued]():                        "isn't a method of the pointer",
		reflect.TypeFor[Half]():                          "MarshalBinary and not UnmarshalBinary",
		reflect.TypeFor[Forever]():                       "nothing but pointers",
		reflect.TypeFor[Lost]():                          "field b of encoding.Lost is not exported",
		reflect.TypeFor[map[struct{ T time.Time }]int](): "UnixNano",
		reflect.TypeFor[map[Out]int]():                   "left out",
		reflect.TypeFor[[]error]():                       "interface",
		reflect.TypeFor[struct{ *inner }]():              "not exported",
	} {
		if _, err := compile(typ, false); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %s", typ, err, says)
		}
	}
}

// A value without end is an error that names the type; one that is only long is
// not.
func TestDepth(t *testing.T) {
	c, err := For[*List]()
	if err != nil {
		t.Fatal(err)
	}
	var long *List
	for range maxDepth - 1 {
		long = &List{long}
	}
	b, err := c.Append(nil, long)
	if err != nil {
		t.Fatal(err)
	}
	got, rest, err := c.Decode(b)
	n := 0
	for ; got != nil; got = got.Next {
		n++
	}
	if n != maxDepth-1 || len(rest) > 0 || err != nil {
		t.Errorf("%d of %d are left, %v", n, maxDepth-1, err)
	}
	cycle := &List{}
	cycle.Next = cycle
	if b, err := c.Append([]byte{1}, cycle); !errors.Is(err, ErrTooDeep) || !strings.Contains(err.Error(), "*encoding.List") || !bytes.Equal(b, []byte{1}) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	trees, _ := For[Tree]()
	tree := make(Tree, 1)
	tree[0] = tree
	if _, err := trees.Append(nil, tree); !errors.Is(err, ErrTooDeep) {
		t.Error(err)
	}
	tables, _ := For[Table]()
	table := make(Table)
	table[""] = table
	if _, err := tables.Append(nil, table); !errors.Is(err, ErrTooDeep) {
		t.Error(err)
	}
	if _, _, err := trees.Decode(bytes.Repeat([]byte{0x91}, 3*maxDepth)); !errors.Is(err, ErrTooDeep) || !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
	if _, _, err := tables.Decode(bytes.Repeat([]byte{0x81, 0xa0}, 3*maxDepth)); !errors.Is(err, ErrTooDeep) {
		t.Error(err)
	}
	if _, err := Skip(bytes.Repeat([]byte{0x91}, 1<<20)); !errors.Is(err, ErrCorrupt) { // deep is no matter here
		t.Error(err)
	}
}

// Pointers that are shared are written as often as they are met: that is bounded.
func TestSize(t *testing.T) {
	type pair struct{ A, B *struct{ V []byte } }
	c, err := compile(reflect.TypeFor[pair](), false)
	if err != nil {
		t.Fatal(err)
	}
	shared := &struct{ V []byte }{make([]byte, 1000)}
	v := pair{shared, shared}
	if _, err := c.append(bounds{maxDepth, 2100}, nil, reflect.ValueOf(&v).Elem()); err != nil {
		t.Error(err)
	}
	if _, err := c.append(bounds{maxDepth, 900}, nil, reflect.ValueOf(&v).Elem()); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

// A time shows the same day and hour wherever it is read, also where the machine
// has another zone or doesn't know the location.
func TestTimes(t *testing.T) {
	late := time.Date(2020, 1, 1, 23, 0, 0, 5, time.FixedZone("", -5*3600))
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		berlin = time.FixedZone("CET", 3600)
	}
	unknown := time.FixedZone("ABC", 3600)
	c, err := For[time.Time]()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []time.Time{
		late, late.In(berlin), late.In(unknown), late.Local(), late.UTC(), {}, time.Time{}.In(unknown), time.Time{}.Local(), time.Unix(1, 2).UTC().Local(),
		time.Date(-300, 1, 1, 0, 0, 0, 0, time.FixedZone("LMT", 3208)), time.Date(99999, 1, 1, 0, 0, 0, 0, berlin), time.Now().Round(0),
	} {
		b, err := c.Append(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		got, rest, err := c.Decode(b)
		if err != nil || len(rest) > 0 || !got.Equal(want) || got.String() != want.String() || got.Location().String() != want.Location().String() {
			t.Errorf("%v came back as %v, %d bytes are left, %v", want, got, len(rest), err)
		}
		for cut := range b {
			if _, _, err := c.Decode(b[:cut]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v, %d of %d bytes: %v", want, cut, len(b), err)
			}
		}
	}
	now := time.Now()
	b, _ := c.Append(nil, now)
	if got, _, _ := c.Decode(b); !reflect.DeepEqual(got, now.Round(0)) {
		t.Errorf("%v came back as %v", now, got)
	}
	elsewhere := appendTime(nil, late.In(time.FixedZone("Local", -5*3600)))
	if got, _, err := c.Decode(elsewhere); err != nil || got.Format(time.DateOnly) != "2020-01-01" {
		t.Errorf("written by a machine with another zone: %v, %v", got, err)
	}
	old, err := msgpack.Marshal(late)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := c.Decode(old); err != nil || !got.Equal(late) {
		t.Errorf("what an older version wrote: %v, %v", got, err)
	}
}

// A struct is still read when a field of it is gone.
func TestUnknownFields(t *testing.T) {
	type wide struct {
		A int
		B map[string][]Inner
		C time.Time
		D float32
		E []byte
		F string
	}
	type narrow struct {
		A int
		F string
	}
	written, _ := For[wide]()
	read, _ := For[narrow]()
	b, err := written.Append(nil, wide{A: 1, B: map[string][]Inner{"x": {{"y"}}}, C: time.Now(), E: []byte{1}, F: "z"})
	if err != nil {
		t.Fatal(err)
	}
	if got, rest, err := read.Decode(b); err != nil || len(rest) > 0 || got != (narrow{1, "z"}) {
		t.Errorf("%+v, %d bytes left, %v", got, len(rest), err)
	}
}
