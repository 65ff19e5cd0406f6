package rdd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os/exec"
	"sync"
	"time"
)

// Limits of what is held of a process's input and output.
const (
	pipeChunk  = 64 << 10 // bytes that are handed on together
	maxLine    = 64 << 20
	maxLastErr = 4 << 10 // of its standard error
)

// pipeLinger is how long a process's standard error may stay open when it has ended.
const pipeLinger = time.Second

// process is a command that runs.
//
// THREADING: the task's goroutine makes the input and takes the output, since the
// operators before and after belong to it. It never waits for one of them alone: two
// goroutines write the one and read the other, else a process that writes while nobody
// reads would wait for ever. end waits for both.
type process struct {
	command []string
	cmd     *exec.Cmd
	cancel  context.CancelFunc
	done    <-chan struct{} // closed when the process isn't wanted any more
	lastErr tail
	take    func(text string) bool // takes whole lines and reports whether it wants more

	in      chan []byte   // closed when there is no more input
	refused chan struct{} // closed when the process takes no more input
	out     chan string   // closed when there is no more output; nil once that was seen
	outErr  error         // why there is no more; to be read when out is closed

	work   sync.WaitGroup
	closed bool // in is
}

func startProcess(ctx context.Context, command []string) (*process, error) {
	p := &process{command: command, in: make(chan []byte, 1), refused: make(chan struct{}), out: make(chan string, 1)}
	ctx, p.cancel = context.WithCancel(ctx)
	p.done = ctx.Done()
	p.cmd = exec.CommandContext(ctx, command[0], command[1:]...)
	p.cmd.Stderr, p.cmd.WaitDelay = &p.lastErr, pipeLinger
	stdin, stdout, err := start(p.cmd)
	if err != nil {
		p.cancel()
		return nil, fmt.Errorf("starting the command %q: %w", command, err)
	}
	p.work.Go(func() { p.write(stdin) })
	p.work.Go(func() { p.read(stdout) })
	return p, nil
}

// start starts a command, whose pipes are closed when its context ends: what the command
// itself started may hold their other ends.
func start(cmd *exec.Cmd) (stdin io.WriteCloser, stdout io.Reader, err error) {
	stdin, err = cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	cmd.Cancel = func() error {
		_, _ = stdin.Close(), out.Close()
		return cmd.Process.Kill()
	}
	return stdin, out, cmd.Start()
}

// write writes the input until there is no more or the process takes no more.
func (p *process) write(stdin io.WriteCloser) {
	defer stdin.Close()
	for chunk := range p.in {
		if _, err := stdin.Write(chunk); err != nil {
			close(p.refused)
			return
		}
	}
}

// read reads the output until there is no more or nobody wants it.
func (p *process) read(stdout io.Reader) {
	defer close(p.out)
	s := bufio.NewScanner(stdout)
	s.Buffer(make([]byte, pipeChunk), maxLine)
	s.Split(wholeLines)
	for s.Scan() {
		select {
		case p.out <- s.Text():
		case <-p.done:
			return
		}
	}
	if p.outErr = s.Err(); p.outErr != nil {
		p.cancel() // it may be writing
	}
}

// wholeLines is a split function of bufio.Scanner: as many lines as there are.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	n := bytes.LastIndexByte(data, '\n') + 1
	if n == 0 && atEOF {
		n = len(data)
	}
	if n == 0 {
		return 0, nil, nil // the line goes on, or there is none
	}
	return n, data[:n], nil
}

// feed hands lines to the process until it takes no more, and its output to take.
func (p *process) feed(lines iter.Seq[string]) {
	var chunk []byte
	more := true
	lines(func(line string) bool {
		if chunk = append(append(chunk, line...), '\n'); len(chunk) >= pipeChunk {
			more = p.send(chunk)
			chunk = nil
		}
		return more
	})
	if more && len(chunk) > 0 {
		p.send(chunk)
	}
}

// send hands on a chunk and reports whether the process takes more.
func (p *process) send(chunk []byte) bool {
	for {
		select {
		case p.in <- chunk:
			return true
		case text, ok := <-p.out:
			if !ok {
				p.out = nil
			} else if !p.take(text) {
				return false
			}
		case <-p.refused:
			return false
		case <-p.done:
			return false
		}
	}
}

// drain ends the input and hands the rest of the output to take.
func (p *process) drain() {
	p.closeInput()
	if p.out == nil {
		return
	}
	for text := range p.out {
		if !p.take(text) {
			p.cancel()
			return
		}
	}
}

func (p *process) closeInput() {
	if !p.closed {
		p.closed = true
		close(p.in)
	}
}

// wait waits for the process's end and says what was wrong with it.
func (p *process) wait() error {
	p.work.Wait()
	err := p.cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has ended well and left something behind
	}
	switch {
	case errors.Is(p.outErr, bufio.ErrTooLong):
		return fmt.Errorf("the command %q: a line of its output is longer than %d bytes", p.command, maxLine)
	case p.outErr != nil:
		return fmt.Errorf("reading from the command %q: %w", p.command, p.outErr)
	case err == nil:
		return nil
	}
	said := "; it wrote nothing to its standard error"
	if len(p.lastErr) > 0 {
		said = fmt.Sprintf("; its standard error ends with %q", p.lastErr)
	}
	return fmt.Errorf("the command %q: %w%s", p.command, err, said)
}

// end ends the process if it still runs, and all that belongs to it.
func (p *process) end() {
	p.cancel()
	p.closeInput()
	p.work.Wait()
	_ = p.cmd.Wait() // it may have been waited for
}

// tail keeps the last bytes that are written to it.
type tail []byte

func (t *tail) Write(b []byte) (int, error) {
	*t = append(*t, b...)
	if over := len(*t) - maxLastErr; over > 0 {
		*t = append((*t)[:0], (*t)[over:]...)
	}
	return len(b), nil
}
