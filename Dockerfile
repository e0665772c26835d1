# Holdfast in a container: built in one stage, the program and what it links to in the other.
#
#   docker build -t holdfast .
#   docker run -d -p 127.0.0.1:6379:6379 -v holdfast:/data -e HOLDFAST_SECURITY_REQUIREPASS=sesame holdfast
#
# Options come as HOLDFAST_... variables or as arguments; data lies in /data. docker-compose.yml has three nodes.

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY scripts/install-deps scripts/
RUN ./scripts/install-deps --for build
COPY . .
RUN cmake --preset release \
 && cmake --build --preset release --target holdfast \
 && strip --strip-debug build/release/holdfast

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends libfmt9 libspdlog1.10 libssl3 libstdc++6 libyaml-cpp0.7 libzstd1 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
# By number, for those who demand that it is not root and look at nothing but the number.
RUN useradd --system --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin holdfast \
 && install -d -o 10001 -g 10001 -m 750 /data
COPY --from=build /src/build/release/holdfast /usr/local/bin/holdfast
RUN holdfast --version
ENV HOLDFAST_SERVER_DIR=/data HOLDFAST_SERVER_BIND=0.0.0.0
USER 10001:10001
WORKDIR /data
VOLUME /data
# Clients, and the other nodes of a cluster.
EXPOSE 6379 7379
# A node that answers is healthy, whatever it says: a replica is, and one that loads, or that wants a password first. Who is
# primary is not a matter of health. Arguments of the container are options too.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["bash", "-c", \
  "mapfile -d '' -t words </proc/1/cmdline; while ((${#words[@]})) && [[ ${words[0]##*/} != holdfast ]]; do words=(\"${words[@]:1}\"); done; exec holdfast ping \"${words[@]:1}\""]
ENTRYPOINT ["holdfast"]
