package driver

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// fdTicker is a ticker of a timerfd, which wakes epoll_wait at its time.
type fdTicker struct {
	file *os.File
	fd   int
}

// newPreciseTicker returns nil if there can be none, or if this process's clock
// isn't the system's: then its time passes otherwise (testing/synctest).
func newPreciseTicker() ticker {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil || time.Since(time.Unix(now.Unix())).Abs() > time.Minute {
		return nil
	}
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil
	}
	return &fdTicker{file: os.NewFile(uintptr(fd), "timerfd"), fd: fd}
}

func (a *fdTicker) wait(ctx context.Context, d time.Duration) bool {
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))} // 0 would disarm it
	if err := unix.TimerfdSettime(a.fd, 0, &at, nil); err != nil {
		return timerTicker{time.NewTimer(d)}.wait(ctx, d)
	}
	defer context.AfterFunc(ctx, func() { _ = a.file.SetReadDeadline(time.Unix(1, 0)) })() // ends Read
	_, err := a.file.Read(make([]byte, 8))                                                 // how often it fired
	return err == nil && ctx.Err() == nil
}

func (a *fdTicker) close() { _ = a.file.Close() }
