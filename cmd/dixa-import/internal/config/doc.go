// Package config reads what a person wants: the configuration file, with its variables expanded, and the flags that override it. Every
// error names the file, the line and the key, or the flag. It opens nothing but the file.
package config
