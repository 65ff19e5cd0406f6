package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

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
// broker in a process of its own, whose memory and collector are nobody's else.
func brokerProcess(ctx context.Context, given string) (addr, kind string, stop func(), err error) {
	if given != "" {
		return given, "broker at " + given, func() {}, nil
	}
	p, err := startSelf(ctx, "broker")
	if err != nil {
		return "", "", nil, err
	}
	line, err := bufio.NewReader(p.stdout).ReadString('\n')
	if err != nil {
		_ = p.end()
		return "", "", nil, fmt.Errorf("the broker's process said no address: %w", err)
	}
	return strings.TrimSpace(line), "embedded broker in a process of its own", func() { _ = p.end() }, nil
}
