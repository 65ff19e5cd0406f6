package onnx

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// kind is a type of attributes: AttributeProto.AttributeType of onnx.proto, and
// kindFlag.
type kind int64

const (
	kindFloat   kind = 1
	kindInt     kind = 2
	kindString  kind = 3
	kindTensor  kind = 4
	kindGraph   kind = 5
	kindFloats  kind = 6
	kindInts    kind = 7
	kindStrings kind = 8
	kindSparse  kind = 11
	kindFlag    kind = 32 // an integer that is 0 or 1
)

func (k kind) String() string {
	names := [...]string{"undefined", "float", "integer", "string", "array", "graph", "list of floats", "list of integers", "list of strings",
		"list of arrays", "list of graphs", "sparse array", "list of sparse arrays", "type", "list of types"}
	if k == kindFlag {
		return "0 or 1"
	}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("type %d", int64(k))
	}
	return names[k]
}

// one is the kind with its article.
func (k kind) one() string {
	name := k.String()
	if strings.ContainsRune("aeiou", rune(name[0])) {
		return "an " + name
	}
	return "a " + name
}

// list tells whether an attribute may hold nothing, for which the file has no
// field.
func (k kind) list() bool { return k == kindFloats || k == kindInts || k == kindStrings }

// fieldKinds are the fields of AttributeProto that hold a value. The table is never
// written.
var fieldKinds = map[protowire.Number]kind{2: kindFloat, 3: kindInt, 4: kindString, 5: kindTensor, 6: kindGraph, 7: kindFloats, 8: kindInts, 9: kindStrings,
	10: 9, 11: 10, 14: 13, 15: 14, 22: kindSparse, 23: 12}

// check refuses an attribute of another kind, by what it says it holds and by what
// it does. Old writers don't say.
func (a *attribute) check(want kind) error {
	k := want
	if k == kindFlag {
		k = kindInt
	}
	switch holds := a.holds &^ (1 << k); {
	case a.declared != 0 && a.declared != k:
		return fmt.Errorf("is %s, want %s", a.declared.one(), want)
	case holds != 0, a.declared == 0 && a.holds == 0 && !k.list():
		return fmt.Errorf("doesn't hold one value of the kind that it should: %s", want)
	case want == kindFlag && a.i != 0 && a.i != 1:
		return fmt.Errorf("%d, want %s", a.i, want)
	}
	return nil
}
