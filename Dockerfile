# One image for the parts of docker-compose.yml that are ours: the command says which. The tag is exact; a digest would
# be, too, for ever: docker buildx imagetools inspect node:24.21.0-bookworm-slim
FROM node:24.21.0-bookworm-slim AS built
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Install scripts would fetch or check binaries that the packages carry already.
RUN npm ci --ignore-scripts && npm cache clean --force
COPY . .
# The files that are served, and the bundle, by the tool that deploys it: a started container builds nothing.
RUN node dev/assets.ts && node dev/build.ts

# Not Alpine: workerd wants glibc. Slim images hold no certificates, and models are called over https.
FROM node:24.21.0-bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=built /app ./
# Where the keys are made; a volume that is new takes its owner from here.
RUN install -d -o node -g node /keys /keys/postgres /keys/redis /keys/bridge /keys/api
USER node
EXPOSE 8000 54330 54331
CMD ["node", "dev/serve.ts"]
