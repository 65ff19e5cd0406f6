package block

// Value is what a store holds for a block, in memory or on disk. Its contents never
// change.
type Value interface {
	// Bytes returns how much memory the value takes.
	Bytes() int64
	// Spill returns a value of the same contents on disk, which takes little memory.
	// Whoever has this one already can read on.
	Spill() (Value, error)
	// Discard removes what the value has on disk. Who reads it meanwhile gets its
	// contents or an error.
	Discard()
}

// Encoded is a Value of encoded bytes.
type Encoded interface {
	Value
	// Load returns the bytes, which aren't to be changed.
	Load() ([]byte, error)
}

// NewEncoded returns bytes, which aren't changed afterwards, as a value for the store.
func (s *Store) NewEncoded(b []byte) Encoded { return encodedMemory{b, s.disk} }

// encodedMemory is an Encoded in memory.
type encodedMemory struct {
	b    []byte
	disk *Disk
}

func (v encodedMemory) Bytes() int64          { return int64(len(v.b)) }
func (v encodedMemory) Load() ([]byte, error) { return v.b, nil }
func (v encodedMemory) Discard()              {}

// Spill writes the bytes in pieces.
func (v encodedMemory) Spill() (Value, error) {
	f, err := v.disk.NewFile()
	if err != nil {
		return nil, err
	}
	if err = f.AppendPieces(v.b); err == nil {
		err = f.Finish()
	}
	if err != nil {
		f.Remove()
		return nil, err
	}
	return encodedDisk{f, len(v.b)}, nil
}

// encodedDisk is its twin on disk.
type encodedDisk struct {
	file *File
	n    int
}

func (v encodedDisk) Bytes() int64          { return 0 }
func (v encodedDisk) Spill() (Value, error) { return v, nil }
func (v encodedDisk) Discard()              { v.file.Remove() }

func (v encodedDisk) Load() ([]byte, error) { return v.file.Load(0, v.file.Size(), v.n) }
