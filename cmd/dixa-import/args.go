package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/importer"
)

// arrange puts the arguments into the one order that urfave/cli understands: global flags, the command, its flags, "--",
// its arguments. So global flags work after the command, and flags after arguments. It also refuses what cli would
// accept or answer with an exit code of its own: unknown commands and flags, flags without a value, surplus arguments.
func arrange(app *cli.App, args []string) ([]string, error) {
	name, rest := findCommand(app, args)
	var cmd *cli.Command
	known := app.Flags
	if name != "" {
		if cmd = app.Command(name); cmd == nil {
			return nil, config.Usagef("there is no command %q%s", name, config.DidYouMean(name, commandNames(app)))
		}
		known = append(slices.Clone(cmd.Flags), known...)
	}
	var global, local, positional []string
	for i := 0; i < len(rest); i++ {
		arg := rest[i]
		if arg == "--" {
			positional = append(positional, rest[i+1:]...)
			break
		}
		if !isFlag(arg) {
			positional = append(positional, arg)
			continue
		}
		flag, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		f := findFlag(known, flag)
		if f == nil {
			return nil, config.Usagef("there is no flag %s%s%s", strings.SplitN(arg, "=", 2)[0], ofCommand(name), suggestFlag(flag, known))
		}
		taken := []string{arg}
		if !hasValue && takesValue(f) {
			if i++; i >= len(rest) {
				return nil, config.Usagef("the flag %s needs a value", arg)
			}
			taken = append(taken, rest[i])
		}
		if cmd != nil && findFlag(cmd.Flags, flag) != nil {
			local = append(local, taken...)
		} else {
			global = append(global, taken...)
		}
	}
	if cmd == nil {
		return append([]string{app.Name}, global...), nil
	}
	if len(positional) > 0 && !cmd.Args {
		return nil, config.Usagef("the command %s takes no arguments, but got %q", name, positional[0])
	}
	out := append([]string{app.Name}, global...)
	out = append(append(out, name), local...)
	if len(positional) > 0 {
		out = append(append(out, "--"), positional...)
	}
	return out, nil
}

// findCommand returns the first argument that is neither a flag nor the value of one, and the arguments without it.
// `help COMMAND` is the command with --help.
func findCommand(app *cli.App, args []string) (name string, rest []string) {
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--":
			return "", args
		case !isFlag(args[i]):
			rest := slices.Concat(args[:i], args[i+1:])
			if args[i] != "help" {
				return args[i], rest
			}
			rest = append(rest, "--help")
			if name := rest[i]; !isFlag(name) {
				return name, slices.Delete(rest, i, i+1)
			}
			return "", rest
		}
		flag, _, hasValue := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if f := findFlag(app.Flags, flag); f != nil && takesValue(f) && !hasValue {
			i++
		} else if f == nil && !hasValue && commandFlagTakesValue(app, flag) {
			i++
		}
	}
	return "", args
}

// commandFlagTakesValue reports whether a flag of some command needs a value, for flags that stand before their command.
func commandFlagTakesValue(app *cli.App, flag string) bool {
	return slices.ContainsFunc(app.Commands, func(c *cli.Command) bool {
		f := findFlag(c.Flags, flag)
		return f != nil && takesValue(f)
	})
}

// isFlag reports whether an argument is one: "-" alone is not, it means standard input.
func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

func findFlag(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}

func suggestFlag(name string, flags []cli.Flag) string {
	var names []string
	for _, f := range flags {
		names = append(names, f.Names()[0])
	}
	if c := importer.Closest(name, names); c != "" {
		return ", did you mean --" + c + "?"
	}
	return ""
}

func ofCommand(name string) string {
	if name == "" {
		return ""
	}
	return " of the command " + name
}

func commandNames(app *cli.App) []string {
	var names []string
	for _, c := range app.Commands {
		names = append(names, c.Name)
	}
	return names
}
