package block

import (
	"fmt"

	"github.com/hibana-engine/hibana/rdd/task"
)

// run implements task.Run.
type run struct {
	file  *File
	bytes int64
}

// NewRun makes a run that belongs to no task.
func (d *Disk) NewRun() (task.Run, error) {
	r, err := d.newRun()
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (d *Disk) newRun() (*run, error) {
	f, err := d.NewFile()
	if err != nil {
		return nil, err
	}
	return &run{file: f}, nil
}

func (r *run) Append(frame []byte) error {
	if len(frame) > maxFrame {
		return fmt.Errorf("writing a run: a frame of %d bytes, at most %d go in one", len(frame), maxFrame)
	}
	err := r.file.Append(r.file.Pack(frame))
	r.bytes += int64(len(frame))
	return err
}

func (r *run) Bytes() int64 { return r.bytes }

func (r *run) Finish() error { return r.file.Finish() }

func (r *run) Open() (task.RunReader, error) {
	if err := r.file.Finish(); err != nil {
		return nil, err
	}
	in, err := r.file.Read(0, r.file.size)
	if err != nil {
		return nil, err
	}
	return &runReader{in}, nil
}

func (r *run) Remove() { r.file.Remove() }

// runReader implements task.RunReader.
type runReader struct{ in *Frames }

func (r *runReader) Next() ([]byte, error) {
	fr, err := r.in.Next()
	if err != nil {
		return nil, err
	}
	return fr.Unpack(maxFrame)
}

func (r *runReader) Close() error { return r.in.Close() }
