package binaries

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/hibana-engine/hibana/engine/wire"
)

// ThisPlatform returns the platform of this process.
func ThisPlatform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// PlatformOfFile is Platform of a file.
func PlatformOfFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading the binary: %w", err)
	}
	defer f.Close()
	return Platform(f)
}

// Platform reads from the beginning of a file which platform it runs on, such as
// "linux/amd64". What is no executable is an error that says [wire.ErrBinary].
func Platform(r io.ReaderAt) (string, error) {
	head := make([]byte, 20)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the binary: %w", err)
	}
	head = head[:n]
	switch {
	case n == 20 && bytes.HasPrefix(head, []byte("\x7fELF")):
		return elfPlatform(head)
	case bytes.HasPrefix(head, []byte("\xcf\xfa\xed\xfe\x07\x00\x00\x01")):
		return "darwin/amd64", nil
	case bytes.HasPrefix(head, []byte("\xcf\xfa\xed\xfe\x0c\x00\x00\x01")):
		return "darwin/arm64", nil
	case bytes.HasPrefix(head, []byte("MZ")):
		return "windows", nil
	case bytes.HasPrefix(head, []byte("#!")):
		return "", fmt.Errorf("%w: it is a script; %s", wire.ErrBinary, whatToSubmit)
	}
	return "", fmt.Errorf("%w: it is no executable; %s", wire.ErrBinary, whatToSubmit)
}

const whatToSubmit = "build the program with `CGO_ENABLED=0 go build` and submit what that makes"

// MissingInterpreter returns an error that says [wire.ErrBinary] if the program at
// path is linked to a C library whose loader this machine doesn't have: the kernel
// then says only that there is no such file, and means the loader.
func MissingInterpreter(path string) error {
	name := interpreter(path)
	if name == "" {
		return nil
	}
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("%w: it is linked to the C library and needs the interpreter %s, which this machine doesn't have; %s", wire.ErrBinary, name, whatToSubmit)
}

// interpreter returns the loader that an ELF file names, "" if it names none.
func interpreter(path string) string {
	f, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > maxInterpreter {
			continue
		}
		name := make([]byte, p.Filesz)
		if _, err := p.ReadAt(name, 0); err != nil {
			return ""
		}
		return string(bytes.TrimRight(name, "\x00"))
	}
	return ""
}

// maxInterpreter bounds the path of a loader, in bytes.
const maxInterpreter = 4096

// elfPlatform reads type and machine from an ELF header's first 20 bytes. Of the
// systems with ELF files Linux is the one that matters here.
func elfPlatform(head []byte) (string, error) {
	field := func(at int) uint16 {
		if head[5] == 2 { // big-endian
			return uint16(head[at])<<8 | uint16(head[at+1])
		}
		return uint16(head[at]) | uint16(head[at+1])<<8
	}
	const executable, shared = 2, 3 // the latter is what position-independent programs are
	if t := field(16); t != executable && t != shared {
		return "", fmt.Errorf("%w: it is an object file; %s", wire.ErrBinary, whatToSubmit)
	}
	switch machine := field(18); machine {
	case 62:
		return "linux/amd64", nil
	case 183:
		return "linux/arm64", nil
	case 3:
		return "linux/386", nil
	case 40:
		return "linux/arm", nil
	case 243:
		return "linux/riscv64", nil
	default:
		return fmt.Sprintf("linux/machine-%d", machine), nil
	}
}
