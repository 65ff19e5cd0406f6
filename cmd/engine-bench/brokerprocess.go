package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka/embedded"
)

// runBroker is an embedded broker for another process: it says its address in a line
// on standard output and ends with its standard input.
func runBroker(_ context.Context, f *flag.FlagSet, args []string) (report, error) {
	if err := parse(f, args); err != nil {
		return nil, err
	}
	b, err := embedded.Start(brokerOptions())
	if err != nil {
		return nil, err
	}
	defer b.Close()
	fmt.Println(b.Addrs()[0])
	_, err = io.Copy(io.Discard, os.Stdin)
	return nil, err
}

func brokerOptions() embedded.Options {
	return embedded.Options{RetentionBytes: 4 << 30, SegmentBytes: 64 << 20}
}

// brokerProcess returns the addresses to use: those given, or those of an embedded
// broker in a process of its own, whose memory and collector are nobody's else. After an
// interrupt too that one is there until stop is called: what uses it ends first.
func brokerProcess(ctx context.Context, given string) (addr, kind string, stop func(), err error) {
	if given != "" {
		return givenBrokers(ctx, given)
	}
	if err := ctx.Err(); err != nil {
		return "", "", nil, err
	}
	alive, kill := context.WithCancel(context.WithoutCancel(ctx))
	p, err := startSelf(alive, "broker")
	if err != nil {
		kill()
		return "", "", nil, err
	}
	stop = func() {
		late := time.AfterFunc(childPatience, kill)
		defer late.Stop()
		_ = p.end()
		kill()
	}
	started := context.AfterFunc(ctx, kill)
	line, err := bufio.NewReader(p.stdout).ReadString('\n')
	started()
	if err != nil {
		stop()
		return "", "", nil, fmt.Errorf("the broker's process said no address: %w", err)
	}
	return strings.TrimSpace(line), "embedded broker in a process of its own", stop, nil
}
