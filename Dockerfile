# docker build -t dixa-import .
#
# The image holds one static program and the certificates of the public authorities. It runs as an ordinary user, in /data: a
# SQLite checkpoint must lie on a volume that is mounted there, or it is lost with the container. With a Postgres checkpoint
# nothing is written.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /image/dixa-import ./cmd/dixa-import
RUN mkdir -p /image/etc/ssl/certs /image/data /image/tmp \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && chown 65532:65532 /image/data && chmod 1777 /image/tmp

FROM scratch
COPY --from=build /image /
USER 65532:65532
WORKDIR /data
ENTRYPOINT ["/dixa-import"]
