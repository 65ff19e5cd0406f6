package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func certsCommand() command {
	return command{
		name: "certs", args: "DIR",
		about: `Makes a certificate authority and a certificate for each machine of a cluster. What
is in DIR already stays: run it again to add a machine. Certificates serve both
sides of a connection; keys are for their owner only (mode 0600). Keep ca-key.pem
off the cluster: who has it can add machines.`,
		examples: []string{
			"certs ./certs --host node1,node2,node3",
			"certs ./certs --host node1+10.0.0.1+node1.example.com   # one machine, several names",
		},
		run: makeCerts,
	}
}

func makeCerts(_ context.Context, p *process, f *flag.FlagSet, _ connection, args []string) error {
	hosts := f.String("host", "localhost", "machines, comma-separated: for each its `names` and addresses as others dial them, joined by +, the first of which names its files")
	days := f.Int("days", 730, "how long new certificates of machines are valid; the authority's lasts ten years")
	others, err := parseMixed(f, args, "DIR")
	if err != nil {
		return err
	}
	if *days < 1 || *days > 3650 {
		return fmt.Errorf("%w: --days %d is not from 1 to 3650", errUsage, *days)
	}
	machines, err := parseMachines(*hosts)
	if err != nil {
		return err
	}
	dir := others[0]
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the directory of certificates: %w", err)
	}
	ca, err := openAuthority(dir, time.Now())
	if err != nil {
		return err
	}
	for _, m := range machines {
		cert, key := filepath.Join(dir, m.file()+".pem"), filepath.Join(dir, m.file()+"-key.pem")
		if _, err := os.Stat(cert); err == nil {
			p.say("%s is there already and stays; remove it to make another", cert)
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("looking for a certificate: %w", err)
		}
		if err := ca.issue(m.names, cert, key, time.Now(), time.Duration(*days)*24*time.Hour); err != nil {
			return err
		}
		p.say("made %s for %s", cert, strings.Join(m.names, ", "))
	}
	fmt.Fprintln(p.stdout, "Give each process on a machine these flags, with the files copied there:")
	for _, m := range machines {
		_, err = fmt.Fprintf(p.stdout, "  %-12s --tls-ca %s --tls-cert %s --tls-key %s\n", m.names[0]+":",
			filepath.Join(dir, "ca.pem"), filepath.Join(dir, m.file()+".pem"), filepath.Join(dir, m.file()+"-key.pem"))
	}
	return err
}

// machine is a machine of the cluster and the names it is dialled by.
type machine struct{ names []string }

// file returns the name of the machine's files.
func (m machine) file() string { return strings.ReplaceAll(m.names[0], ":", "_") } // of IPv6

// parseMachines reads --host.
func parseMachines(s string) (machines []machine, err error) {
	seen := make(map[string]bool)
	for h := range strings.SplitSeq(s, ",") {
		var m machine
		for n := range strings.SplitSeq(h, "+") {
			n = strings.TrimSpace(n)
			if n == "" || len(n) > 253 || strings.ContainsFunc(n, func(r rune) bool { return !hostRune(r) }) || strings.HasPrefix(n, ".") {
				return nil, fmt.Errorf("%w: --host %q: %q is no name of a machine and no address", errUsage, s, n)
			}
			m.names = append(m.names, n)
		}
		if f := m.file(); seen[f] || f == "ca" || f == "ca-key" {
			return nil, fmt.Errorf("%w: --host %q: %q is taken", errUsage, s, f)
		}
		seen[m.file()] = true
		machines = append(machines, m)
	}
	return machines, nil
}

// hostRune reports whether names of machines hold a character.
func hostRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '.' || r == ':' || r == '*'
}
