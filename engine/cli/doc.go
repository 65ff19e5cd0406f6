// Package cli holds what the command lines of Hibana's programs have in common.
package cli
