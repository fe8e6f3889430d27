// Renders a Helm chart where Helm is not at hand: with text/template and sprig, which are what Helm renders with, and the few
// functions that Helm adds to them. It knows no subcharts, hooks or look-ups, and does not look at the schema of the values.
//
// Usage: render CHART RELEASE NAMESPACE [VALUES]
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig" // Debian has version 3 under this name
	"gopkg.in/yaml.v3"
)

type values = map[string]interface{}

// As in Helm, what is read becomes JSON first: all numbers are float64.
func read(path string) (values, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var read, through values
	if err := yaml.Unmarshal(text, &read); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	encoded, err := json.Marshal(read)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return through, json.Unmarshal(encoded, &through)
}

// As in Helm: maps are merged, all else is replaced, and null removes.
func merge(into, from values) {
	for key, value := range from {
		below, isMap := into[key].(values)
		more, both := value.(values)
		if value == nil {
			delete(into, key)
		} else if isMap && both {
			merge(below, more)
		} else {
			into[key] = value
		}
	}
}

func toYaml(value interface{}) (string, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	// A JSON text is one of YAML, whose numbers are whole again where they have no fraction.
	var node yaml.Node
	if err := yaml.Unmarshal(encoded, &node); err != nil {
		return "", err
	}
	var plain interface{}
	if err := node.Decode(&plain); err != nil {
		return "", err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	err = encoder.Encode(plain)
	return strings.TrimSuffix(out.String(), "\n"), err
}

type files struct{ chart string }

func (f files) Get(name string) string {
	text, err := os.ReadFile(filepath.Join(f.chart, name))
	if err != nil {
		return "" // as Helm does
	}
	return string(text)
}

func render(chart, release, namespace, override string) error {
	about, err := read(filepath.Join(chart, "Chart.yaml"))
	if err != nil {
		return err
	}
	all, err := read(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return err
	}
	if override != "" {
		more, err := read(override)
		if err != nil {
			return err
		}
		merge(all, more)
	}
	root := template.New("chart").Option("missingkey=zero")
	functions := sprig.TxtFuncMap()
	delete(functions, "env")
	delete(functions, "expandenv")
	functions["toYaml"] = toYaml
	functions["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, errors.New(message)
		}
		return value, nil
	}
	functions["include"] = func(name string, data interface{}) (string, error) {
		var out strings.Builder
		err := root.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	root.Funcs(functions)
	paths, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if _, err := root.New(path).Parse(string(text)); err != nil {
			return err
		}
	}
	data := values{
		"Values":  all,
		"Chart":   values{"Name": about["name"], "Version": about["version"], "AppVersion": about["appVersion"]},
		"Release": values{"Name": release, "Namespace": namespace, "Service": "Helm", "IsInstall": true},
		"Files":   files{chart},
	}
	for _, path := range paths {
		if strings.HasPrefix(filepath.Base(path), "_") {
			continue
		}
		fmt.Printf("---\n# %s\n", filepath.Base(path))
		if err := root.ExecuteTemplate(os.Stdout, path, data); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if len(os.Args) < 4 || len(os.Args) > 5 {
		fmt.Fprintln(os.Stderr, "usage: render CHART RELEASE NAMESPACE [VALUES]")
		os.Exit(2)
	}
	override := ""
	if len(os.Args) == 5 {
		override = os.Args[4]
	}
	if err := render(os.Args[1], os.Args[2], os.Args[3], override); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}
