// Package example runs the programs of this folder, as a user would.
package example

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
)

// programs builds the three programs and returns where they are.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir+"/", "./digits-write", "./digits-train", "./digits-stream").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return dir
}

// run runs a program to its end and returns what it printed.
func run(t *testing.T, path string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

var (
	published = regexp.MustCompile(`^published version ([0-9a-f]{12}), which reads (\d+) of (\d+) images right\n$`)
	judged    = regexp.MustCompile(`batch \d+: version ([0-9a-f]{12}) reads (\d+) of (\d+) images right\n`)
)

// number returns a number that a program printed.
func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A network that is trained on yesterday's images in one program reads all of today's
// in another, from the first batch on; in one process and on two executor processes the same
// network comes of it.
func TestTrainThenStream(t *testing.T) {
	bin, broker := programs(t), kafkatest.Fake(t)
	const labelled, images = 4000, 1500
	if _, stderr, err := run(t, filepath.Join(bin, "digits-write"), "--brokers", broker.Addrs[0], "--labelled", fmt.Sprint(labelled), "--images", fmt.Sprint(images)); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	versions := make(map[string]bool)
	for _, master := range []string{"local[2]", "local-cluster[2,1]"} {
		common := []string{"--master", master, "--brokers", broker.Addrs[0], "--conf", "models.store=" + t.TempDir()}
		out, stderr, err := run(t, filepath.Join(bin, "digits-train"), append(common, "--rounds", "3")...)
		found := published.FindStringSubmatch(out)
		if err != nil || found == nil {
			t.Fatalf("%s: %v\n%s%s", master, err, out, stderr)
		}
		if right, tried := number(t, found[2]), number(t, found[3]); tried != labelled/10 || right < tried*85/100 {
			t.Errorf("%s: %d of %d images were read right in the trial", master, right, tried)
		}
		for _, says := range []string{"the program has ended", "actions=4", "failed_attempts=0"} {
			if !strings.Contains(stderr, says) {
				t.Errorf("%s: the summary lacks %q: %s", master, says, stderr)
			}
		}
		versions[found[1]] = true

		out, stderr, err = run(t, filepath.Join(bin, "digits-stream"), append(common, "--until-end")...)
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", master, err, out, stderr)
		}
		right, all := 0, 0
		for _, m := range judged.FindAllStringSubmatch(out, -1) {
			if m[1] != found[1] {
				t.Errorf("%s: version %s was published, not %s:\n%s", master, found[1], m[1], out)
			}
			right, all = right+number(t, m[2]), all+number(t, m[3])
		}
		if all != images || right < all*80/100 {
			t.Errorf("%s: %d of %d images were read right, of %d:\n%s", master, right, all, images, out)
		}
	}
	if len(versions) != 1 {
		t.Errorf("different networks came of one day: %v", versions)
	}

	common := []string{"--master", "local[2]", "--brokers", broker.Addrs[0]}
	store := []string{"--conf", "models.store=" + t.TempDir()}
	for says, args := range map[string][]string{
		"the job has no model store":                 {"--rounds", "1", "--least", "0"},
		"99.9 % are asked for: it isn't published":   append([]string{"--rounds", "1", "--least", "0.999"}, store...),
		"topic labelled holds too few images of 202": append([]string{"--day", "2020-01-01"}, store...),
		"--rounds 0 is below 1":                      {"--rounds", "0"},
		"--partitions -1 is below 1":                 {"--partitions", "-1"},
		"--least 80 is not from 0 to 1":              {"--least", "80"},
		`--day "yesterday" is no day`:                append([]string{"--day", "yesterday"}, store...),
	} {
		if _, stderr, err := run(t, filepath.Join(bin, "digits-train"), append(args, common...)...); err == nil || !strings.Contains(stderr, says) {
			t.Errorf("train %q: %v\n%s\nwant %s", args, err, stderr, says)
		}
	}
}
