package cli

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"
)

// What package flag says with one dash, or in its own words, is said in words for people.
func TestParseFlags(t *testing.T) {
	for args, want := range map[string]string{
		"--name a --n 3 --rate 2.5 --wait 2s --on --color red": "",
		"--nme a":                  "unknown flag --nme; did you mean --name?",
		"--nmae a":                 "unknown flag --nmae; did you mean --name?",
		"-nme=a":                   "unknown flag --nme; did you mean --name?",
		"--frobnicate":             "unknown flag --frobnicate",
		"--name":                   "--name needs a value: --name=…, or the value behind it",
		"--n x":                    `invalid value "x" for flag --n: it takes a whole number`,
		"--n 99999999999999999999": `invalid value "99999999999999999999" for flag --n: value out of range`,
		"--seed -1":                `invalid value "-1" for flag --seed: it takes a whole number from 0 on`,
		"--rate fast":              `invalid value "fast" for flag --rate: it takes a number`,
		"--wait 5":                 `invalid value "5" for flag --wait: it takes a duration, which has a unit, e.g. 500ms or 2s`,
		"--on=perhaps":             `invalid value "perhaps" for flag --on: it takes true or false`,
		"--color -n:":              `invalid value "-n:" for flag --color: there is no such color: -n:`,
		`--color a"b`:              `invalid value "a\"b" for flag --color: there is no such color: a"b`,
		"--help":                   flag.ErrHelp.Error(),
		"--=x":                     "bad flag syntax: --=x",
		"--color red --color blue --name --on --name":           "--name needs a value: --name=…, or the value behind it",
		"--n 3 behind --nope is for whoever takes what follows": "",
	} {
		f := flag.NewFlagSet("test", flag.ContinueOnError)
		f.SetOutput(io.Discard)
		f.String("name", "", "")
		f.Int("n", 0, "")
		f.Uint64("seed", 0, "")
		f.Float64("rate", 0, "")
		f.Duration("wait", time.Second, "")
		f.Bool("on", false, "")
		f.Func("color", "", func(s string) error {
			if s == "red" || s == "blue" {
				return nil
			}
			return errors.New("there is no such color: " + s)
		})
		err := ParseFlags(f, strings.Fields(args))
		if err == nil && want != "" || err != nil && err.Error() != want {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

// A question ends with its mark.
func TestSeeHelp(t *testing.T) {
	for want, err := range map[string]error{
		"unknown flag --x; see --help":                        &UnknownFlagError{Flag: "x"},
		"unknown flag --nme; did you mean --name? See --help": &UnknownFlagError{Flag: "nme", Meant: "name"},
	} {
		if got := err.Error() + SeeHelp(err, "--help"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
