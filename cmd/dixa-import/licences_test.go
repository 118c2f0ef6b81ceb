package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// permissive are sentences of the licences that a dependency may have, in lower case with single spaces.
var permissive = []string{
	"permission is hereby granted, free of charge, to any person obtaining a copy of this software",        // MIT
	"redistribution and use in source and binary forms, with or without modification, are permitted",       // BSD
	"apache license version 2.0, january 2004",                                                             // Apache-2.0
	"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee", // ISC
	"permission to use, copy, modify, and distribute this software for any purpose with or without fee",    // ISC
}

// notPermissive are words of other licences, and of permissive ones with an exception.
var notPermissive = []string{"general public license", "mozilla public license", "eclipse public license", "creative commons", "commons clause", "business source license",
	"server side public license", "elastic license", "commercial use"}

// publicDomain are modules whose licence is a sentence of their own.
var publicDomain = []string{"github.com/xi2/xz"}

// TestLicences requires that everything in the binary and in its tests has a permissive licence.
func TestLicences(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "-test", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}", "dixa-import/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(string(out))
	if len(modules) < 2*20 {
		t.Fatalf("only these modules were found: %q", modules)
	}
	checked := map[string]bool{}
	for i := 0; i < len(modules); i += 2 {
		path, dir := modules[i], modules[i+1]
		if checked[path] || slices.Contains(publicDomain, path) {
			continue
		}
		checked[path] = true
		if problem := licenceProblem(t, dir); problem != "" {
			t.Errorf("%s: %s", path, problem)
		}
	}
}

// licenceProblem returns what is wrong with the licence of the module in a folder, "" if it is permissive.
func licenceProblem(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range entries {
		name, _, _ := strings.Cut(strings.ToUpper(e.Name()), ".") // LICENSE-THIRD-PARTY and the like list what is not in the binary, too
		if e.IsDir() || !slices.Contains([]string{"LICENSE", "LICENCE", "COPYING"}, name) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Join(strings.Fields(strings.ReplaceAll(strings.ToLower(string(text)), "\n>", "\n")), " ")
		has := func(sentence string) bool { return strings.Contains(words, sentence) }
		if i := slices.IndexFunc(notPermissive, has); i >= 0 {
			return e.Name() + " speaks of a " + notPermissive[i] + ": read it, and do without the module if it is one"
		}
		if !slices.ContainsFunc(permissive, has) {
			return e.Name() + " is not a known licence: read it, and name the licence or the module above if it is permissive"
		}
		found = true
	}
	if !found {
		return "it has no licence"
	}
	return ""
}

func TestLicenceProblems(t *testing.T) {
	t.Parallel()
	for text, wrong := range map[string]string{
		"": "is not a known licence",
		"You may use this if you bake me a cake.": "is not a known licence",
		"GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\nThis program is free software: you can redistribute it and/or modify it under the terms of the GNU General " +
			"Public License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later version.": "speaks of a general public license",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "LICENSE.txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := licenceProblem(t, dir); !strings.Contains(got, wrong) {
			t.Errorf("%.20q: got %q, want %q", text, got, wrong)
		}
	}
	if got := licenceProblem(t, t.TempDir()); got != "it has no licence" {
		t.Errorf("without a file: %q", got)
	}
}
