package files

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

// Names in the directory of an output.
const (
	manifestName = "_SUCCESS" // Spark's and Hadoop's, whose file is empty
	startedName  = "_STARTED" // the output isn't whole as long as it is there without a manifest
	partPrefix   = "part-"
)

// Manifest says which files of a directory are its output.
type Manifest struct {
	Kind string `json:"kind"`           // what the parts are
	Type string `json:"type,omitempty"` // of the elements
	// Program is that which wrote it, where another one has no use for it.
	Program string `json:"program,omitempty"`
	// Hash is over how many partitions keys are hashed, 0 if they aren't or it isn't known.
	Hash  int    `json:"hash,omitempty"`
	Parts []Part `json:"parts"` // by partition
}

// Part is the file of one partition.
type Part struct {
	Name    string `json:"name" msgpack:"n"`
	Bytes   int64  `json:"bytes" msgpack:"b"`
	Records int64  `json:"records" msgpack:"r"`
	Sum     uint32 `json:"crc32c" msgpack:"s"` // of the file
}

// manifestFormat begins a manifest; the checksum of what follows the line ends its line.
const manifestFormat = manifestMark + "1 "

// manifestMark begins manifests of all versions; what begins otherwise is another
// program's.
const manifestMark = "hibana output "

// maxManifest bounds a manifest's bytes.
const maxManifest = 1 << 30

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode returns the manifest as it is written: a line with format and checksum, then JSON.
func (m *Manifest) Encode() ([]byte, error) {
	body, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return nil, err
	}
	return append(fmt.Appendf(nil, "%s%08x\n", manifestFormat, crc32.Checksum(body, castagnoli)), body...), nil
}

// DecodeManifest reads what Encode returned. Other bytes are an error that says
// [ErrDamaged].
func DecodeManifest(data []byte) (*Manifest, error) {
	line, body, _ := bytes.Cut(data, []byte("\n"))
	sum, ok := strings.CutPrefix(string(line), manifestFormat)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: it is no manifest, or one of another version: it begins with %.40q, this program knows %q", ErrDamaged, line, manifestFormat)
	case sum != fmt.Sprintf("%08x", crc32.Checksum(body, castagnoli)):
		return nil, fmt.Errorf("%w: its checksum doesn't match", ErrDamaged)
	}
	var m Manifest
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	for _, p := range m.Parts {
		if !isPart(p.Name) || strings.ContainsAny(p.Name, "/\\") || p.Bytes < 0 || p.Records < 0 {
			return nil, fmt.Errorf("%w: it lists a part %+v", ErrDamaged, p)
		}
	}
	return &m, nil
}

// lists reports whether a file is one of the parts.
func (m *Manifest) lists(name string) bool {
	// Parts are named by partition, so that they are sorted, nearly always.
	if i, ok := slices.BinarySearchFunc(m.Parts, name, func(p Part, n string) int { return strings.Compare(p.Name, n) }); ok {
		return m.Parts[i].Name == name
	}
	return slices.ContainsFunc(m.Parts, func(p Part) bool { return p.Name == name })
}

// isPart reports whether a file's name is one of a part.
func isPart(name string) bool { return strings.HasPrefix(name, partPrefix) }
